package ceremony

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Plan is what a ceremony will do, as its attendants agreed on it.
type Plan struct {
	Title        string     `toml:"title"`
	Purpose      string     `toml:"purpose"` // generate, backup or restore
	Place        string     `toml:"place"`
	Organisation string     `toml:"organisation"` // digest of the genesis; empty before there is one
	Token        PlanToken  `toml:"token"`
	Attendants   []PlanSeat `toml:"attendants"`
	Keys         *PlanKeys  `toml:"keys"`   // generate and backup: which keys; restore: of which wallet a part of its pool is made, if any
	Backup       *PlanKEK   `toml:"backup"` // backup and restore: the key-encryption key, and which file

	digest canon.Digest
	people []canon.Attendant
	pool   keypool.Spec
	holds  []canon.Name // of components, in their order
	file   canon.Digest // of the backup to restore
}

// PlanToken names the token.
type PlanToken struct {
	Module string `toml:"module"` // PKCS#11 module, an absolute path
	Label  string `toml:"label"`
	Serial string `toml:"serial"` // needed where two tokens share the label
}

// PlanSeat is a person who is present.
type PlanSeat struct {
	Name  string `toml:"name"`
	Label string `toml:"label"`
	Role  string `toml:"role"`
	Key   string `toml:"key"` // a line of authorized_keys
}

// PlanKeys is a wallet's keys in this token.
type PlanKeys struct {
	Wallet        string   `toml:"wallet"`
	Chain         string   `toml:"chain"` // CAIP-2
	Accounts      []string `toml:"accounts"`
	Receive       uint64   `toml:"receive"`
	Change        uint64   `toml:"change"`
	Signer        string   `toml:"signer"`         // whose token it is
	Identity      string   `toml:"identity"`       // the signer's public key in hexadecimal; or
	IdentityLabel string   `toml:"identity_label"` // the label of its Ed25519 key in this token, made if it is missing
	Class         string   `toml:"class"`          // none: never leave the token; wrap: may leave it wrapped
	Attended      bool     `toml:"attended"`       // the PIN for every signature
	SingleDevice  bool     `toml:"single_device"`  // this token alone signs for the wallet
	Attestation   bool     `toml:"attestation"`    // the one key that attests for a wallet of scheme cosign on an EVM chain, and no addresses
}

// PlanKEK is the key-encryption key of a backup.
type PlanKEK struct {
	Holders []string `toml:"holders"` // attendants, each with one component, in the order in which they type
	Label   string   `toml:"label"`   // of the key-encryption key, in the token only while the ceremony lasts
	File    string   `toml:"file"`    // restore: the backup
	Digest  string   `toml:"digest"`  // restore: SHA-256 of the file, from the transcript of the backup
}

// Bounds of plans.
const (
	maxAttendants = 20
	minComponents = 2
	maxComponents = 9
	maxKeys       = canon.MaxPoolKeys - 1 // of a wallet; with the signer's identity a transcript holds as many as canon reads
)

// LoadPlan reads and checks a plan. The error is a *refusal.Refusal with everything that is wrong with it, unless the file cannot be read.
func LoadPlan(path string) (*Plan, error) {
	p := &Plan{}
	sum, err := config.Load(path, p)
	if err != nil {
		return nil, err
	}
	if p.digest, err = canon.ParseDigest(sum); err != nil {
		return nil, err
	}
	var l refusal.List
	p.check(&l)
	if p.Backup != nil && p.Backup.File != "" && !filepath.IsAbs(p.Backup.File) {
		p.Backup.File = filepath.Join(filepath.Dir(path), p.Backup.File)
	}
	return p, l.Err()
}

const rulePlan = "plan"

var purposes = map[string]canon.CeremonyPurpose{"generate": canon.CeremonyGenerate, "backup": canon.CeremonyBackup, "restore": canon.CeremonyRestore}

func (p *Plan) check(l *refusal.List) {
	for field, text := range map[string]string{"title": p.Title, "place": p.Place} {
		checkText(l, field, text)
	}
	if purposes[p.Purpose] == 0 {
		l.Add(rulePlan, "purpose", "generate, backup or restore", fmt.Sprintf("%.40q", p.Purpose))
	}
	if p.Organisation != "" {
		if _, err := canon.ParseDigest(p.Organisation); err != nil {
			l.Add(rulePlan, "organisation", "64 hexadecimal digits, or none", err.Error())
		}
	}
	if p.Token.Module == "" || p.Token.Label == "" {
		l.Add(rulePlan, "token.module, token.label", "both", fmt.Sprintf("%.80q and %.40q", p.Token.Module, p.Token.Label))
	}
	p.checkPeople(l)
	if p.Keys == nil && p.Purpose != "restore" {
		l.Add(rulePlan, "keys", "a section [keys] for generate and backup", "none")
	}
	if (p.Backup != nil) != (p.Purpose != "generate") {
		l.Add(rulePlan, "backup", "a section [backup] for backup and restore, none for generate", fmt.Sprint(p.Backup != nil))
	}
	if p.Keys != nil {
		p.checkKeys(l)
	}
	if p.Backup != nil {
		p.checkBackup(l)
	}
}

func checkText(l *refusal.List, field, text string) {
	if err := canon.Text(text).Check(); err != nil || strings.TrimSpace(text) == "" {
		l.Add(rulePlan, field, "printable text of 1 to 140 bytes", fmt.Sprintf("%.150q", text))
	}
}

func (p *Plan) checkPeople(l *refusal.List) {
	if len(p.Attendants) < 2 || len(p.Attendants) > maxAttendants {
		l.Add(rulePlan, "attendants", fmt.Sprintf("2 to %d: nobody makes or moves keys alone", maxAttendants), fmt.Sprint(len(p.Attendants)))
	}
	for i, a := range p.Attendants {
		at := fmt.Sprintf("attendants[%d].", i)
		checkText(l, at+"label", a.Label)
		checkText(l, at+"role", a.Role)
		name := canon.Name(a.Name)
		if err := name.Check(); err != nil || name == canon.Any || name == declined {
			l.Add(rulePlan, at+"name", "a name of a-z, 0-9, hyphen, other than no", fmt.Sprintf("%.70q", a.Name))
		}
		public, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(a.Key))
		if err == nil && len(rest) == 0 {
			public, err = charter.ParseOfficerKey(public.Marshal())
		}
		if err != nil || len(rest) > 0 {
			l.Add(rulePlan, at+"key", "a line of authorized_keys with ssh-ed25519, ecdsa-sha2-nistp256, their sk- forms or ssh-rsa", fmt.Sprintf("%.80q", a.Key))
			continue
		}
		person := canon.Attendant{Name: name, Label: canon.Text(a.Label), Role: canon.Text(a.Role), Key: public.Marshal()}
		for _, other := range p.people {
			if other.Name == person.Name || slices.Equal(other.Key, person.Key) {
				l.Add(rulePlan, at+"name, "+at+"key", "a name and a key of his own", "those of "+string(other.Name))
			}
		}
		p.people = append(p.people, person)
	}
}

var classes = map[string]bool{"none": false, "wrap": true}

func (p *Plan) checkKeys(l *refusal.List) {
	k := p.Keys
	restorable, known := classes[k.Class]
	if !known {
		l.Add(rulePlan, "keys.class", "none or wrap", fmt.Sprintf("%.40q", k.Class))
	}
	if p.Purpose != "generate" && !restorable {
		l.Add(rulePlan, "keys.class", "wrap: no other keys can leave their token", k.Class)
	}
	if k.Attended && !k.SingleDevice {
		l.Add(rulePlan, "keys.attended", "only with single_device: elsewhere the PIN cannot be given for every signature", "without it")
	}
	p.pool = keypool.Spec{Wallet: canon.Name(k.Wallet), Chain: canon.ChainID(k.Chain), Signer: canon.Name(k.Signer), Receive: k.Receive, Change: k.Change,
		Class: hsm.KeyClass{Restorable: restorable, Attended: k.Attended}, Restored: p.Purpose == "restore"}
	for i, a := range k.Accounts {
		p.pool.Accounts = append(p.pool.Accounts, canon.Name(a))
		checkName(l, fmt.Sprintf("keys.accounts[%d]", i), a)
	}
	checkName(l, "keys.wallet", k.Wallet)
	checkName(l, "keys.signer", k.Signer)
	if err := p.pool.Chain.Check(); err != nil {
		l.Add(rulePlan, "keys.chain", "a CAIP-2 chain id", fmt.Sprintf("%.80q", k.Chain))
	}
	if p.checkSizes(l); p.Purpose != "backup" {
		p.checkIdentity(l)
	}
}

// checkSizes bounds the number of keys; each factor first, so that the product cannot overflow.
func (p *Plan) checkSizes(l *refusal.List) {
	k := p.Keys
	if k.Attestation {
		if len(k.Accounts) > 0 || k.Receive > 0 || k.Change > 0 || k.Class != "none" || k.Attended || k.SingleDevice || p.Purpose != "generate" {
			l.Add(rulePlan, "keys.attestation", "class none, and neither accounts, receive, change, attended nor single_device", "one of them, or another purpose than generate")
		}
		return
	}
	most := uint64(maxKeys)
	if len(k.Accounts) == 0 || uint64(len(k.Accounts)) > most || k.Receive == 0 || k.Receive > most || k.Change > most || p.count() > most {
		l.Add(rulePlan, "keys.accounts, keys.receive, keys.change", fmt.Sprintf("at least 1 account and 1 receive key, at most %d keys", most),
			fmt.Sprintf("%d accounts, %d and %d", len(k.Accounts), k.Receive, k.Change))
	}
}

func (p *Plan) checkIdentity(l *refusal.List) {
	k := p.Keys
	if (k.Identity == "") == (k.IdentityLabel == "") && !k.Attestation || k.Identity != "" && k.IdentityLabel != "" {
		l.Add(rulePlan, "keys.identity, keys.identity_label", "one of the two", fmt.Sprintf("%.70q and %.40q", k.Identity, k.IdentityLabel))
	}
	if k.Identity != "" {
		var err error
		if p.pool.Identity, err = canon.ParsePublicKey(k.Identity); err != nil {
			l.Add(rulePlan, "keys.identity", "64 hexadecimal digits", fmt.Sprintf("%.70q", k.Identity))
		}
	}
}

func checkName(l *refusal.List, field, name string) {
	if n := canon.Name(name); n.Check() != nil || n == canon.Any {
		l.Add(rulePlan, field, "a name of a-z, 0-9, hyphen", fmt.Sprintf("%.70q", name))
	}
}

func (p *Plan) checkBackup(l *refusal.List) {
	b := p.Backup
	if len(b.Holders) < minComponents || len(b.Holders) > maxComponents {
		l.Add(rulePlan, "backup.holders", fmt.Sprintf("%d to %d, each with a component of the key-encryption key", minComponents, maxComponents), fmt.Sprint(len(b.Holders)))
	}
	for i, h := range b.Holders {
		name := canon.Name(h)
		present := slices.ContainsFunc(p.people, func(a canon.Attendant) bool { return a.Name == name })
		if !present || slices.Contains(p.holds, name) {
			l.Add(rulePlan, fmt.Sprintf("backup.holders[%d]", i), "attendants, each once", fmt.Sprintf("%.70q", h))
		}
		p.holds = append(p.holds, name)
	}
	if b.Label == "" {
		b.Label = "strongroom-kek"
	}
	if (b.File != "") != (p.Purpose == "restore") || (b.Digest != "") != (p.Purpose == "restore") {
		l.Add(rulePlan, "backup.file, backup.digest", "both for restore, neither for backup", fmt.Sprintf("%.80q and %.70q", b.File, b.Digest))
	}
	if b.Digest != "" {
		var err error
		if p.file, err = canon.ParseDigest(b.Digest); err != nil {
			l.Add(rulePlan, "backup.digest", "64 hexadecimal digits", fmt.Sprintf("%.70q", b.Digest))
		}
	}
}

// count is the number of the wallet's keys in the token.
func (p *Plan) count() uint64 {
	if p.Keys == nil {
		return 0
	}
	return uint64(len(p.pool.Accounts)) * (p.pool.Receive + p.pool.Change)
}

// planned is a key that the plan names.
type planned struct {
	label, use string
	kind       string // as hsm.KeyInfo has it
}

// Kinds of keys in ceremonies.
const (
	kindWallet   = "secp256k1"
	kindIdentity = "ed25519"
)

// planned lists the wallet's keys in the order of a pool.
func (p *Plan) planned() []planned {
	if p.Keys != nil && p.Keys.Attestation {
		return []planned{{keyset.AttestationLabel(p.pool.Wallet), "attestation key of wallet " + p.Keys.Wallet, kindWallet}}
	}
	pool := canon.KeyPool{Accounts: p.pool.Accounts, Receive: p.pool.Receive, Change: p.pool.Change}
	var all []planned
	for at := range p.count() {
		account, branch, index := keyset.Position(&pool, at)
		all = append(all, planned{keyset.Label(p.pool.Wallet, account, branch, index), fmt.Sprintf("%s %s %d/%d", p.pool.Wallet, account, branch, index), kindWallet})
	}
	return all
}

// everybody is the names of all attendants.
func (p *Plan) everybody() []canon.Name {
	var all []canon.Name
	for _, a := range p.people {
		all = append(all, a.Name)
	}
	return all
}

func (p *Plan) organisation() canon.Digest {
	if d, err := canon.ParseDigest(p.Organisation); err == nil {
		return d
	}
	return canon.Digest{}
}

// sha is SHA-256 in hexadecimal, for lines on the screen.
func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
