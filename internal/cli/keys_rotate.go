package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Rotation says which key of this officer is to be replaced, and by which.
type Rotation struct {
	Old    string // line of authorized_keys or file; empty: the one of the configuration, or the officer's only one
	Public string // the new key, as a line or file: one of an agent, a token, a smartcard
	Class  string // presence, token or file; that of a key file need not be given

	KeyOut, Comment, PassphraseFile string // instead of Public: a key file to make, which must not exist

	KeepOld bool // the old key stays beside the new one, for now
	DropOld bool // instead of a new key: the old one goes, another of the officer's stays

	Reason, Out string // of the amendment, and the file for it, which must not exist
}

// RotationView is an amendment that replaces a key.
type RotationView struct {
	AmendmentView
	Officer string  `json:"officer"`
	Old     string  `json:"old_key"`        // fingerprint
	Kept    bool    `json:"kept,omitempty"` // the old key stays
	Class   string  `json:"class,omitempty"`
	New     KeyView `json:"new_key"`

	oldLine string
}

func (v RotationView) writeText(t *text) {
	v.AmendmentView.writeText(t)
	t.gap()
	switch {
	case v.New.PublicKey == "":
		t.say("%s's key %s goes.", v.Officer, v.Old)
		return
	case v.Kept:
		t.say("%s's key %s stays, and this one of class %s comes:", v.Officer, v.Old, v.Class)
	default:
		t.say("%s's key %s goes, and this one of class %s comes:", v.Officer, v.Old, v.Class)
	}
	t.line("  %s", v.New.PublicKey)
	if v.New.File != "" {
		t.say("The new one is in %s. Name it in the configuration once the amendment is enacted; the old key signs until then.", v.New.File)
	}
	t.say("If the old key is lost or in other hands, do not wait for that:")
	t.line("  strongroom key revoke '%s' --reason TEXT", v.oldLine)
}

// keyClasses are the classes of officers' keys as the TOML of a charter names them.
var keyClasses = []string{"presence", "token", "file"}

// RotateKey writes an amendment that puts a new key in the place of one of this officer, and makes the new key if it is to be a file. What
// loosens takes the quorum of the charter that it makes too, and there only keys count that the officer had before and keeps. Where that
// quorum cannot do without him, it takes two amendments: one that adds the new key, and one that takes the old one out.
func (s *Session) RotateKey(ctx context.Context, r Rotation) error {
	if err := s.settled(); err != nil {
		return err
	}
	officer, ok := s.Charter.Officer(s.Config.Name)
	if !ok {
		return fmt.Errorf("%w: name: expected an officer of the charter, found %q", ErrRefused, s.Config.Name)
	}
	at, err := s.rotated(officer, r.Old)
	if err != nil {
		return err
	}
	class, err := s.rotation(officer, at, r)
	if err != nil {
		return err
	}
	v := RotationView{Officer: string(officer.Name), Kept: r.KeepOld, Class: r.classText(class)}
	if v.Old, v.oldLine, err = keyTexts(officer.Keys[at].Public); err != nil {
		return err
	}
	keys := slices.Clone(officer.Keys)
	if r.DropOld {
		keys, v.Class = slices.Delete(keys, at, at+1), ""
	} else {
		var public []byte
		if public, v.New, err = s.newOfficerKey(r); err != nil {
			return err
		}
		key := canon.OfficerKey{Public: public, Class: class}
		if r.KeepOld {
			keys = append(keys, key)
		} else {
			keys[at] = key
		}
	}
	a, err := s.writeAmendment(ctx, Change{next: s.withKeys(officer.Name, keys), Reason: r.Reason, Out: r.Out})
	if err != nil {
		if v.New.File != "" {
			s.Note("The new key is in %s all the same: hand it in by --public.", v.New.File)
		}
		return err
	}
	v.AmendmentView = *a
	return s.Print(v)
}

// rotation refuses what cannot become an amendment, before any key is made, and returns the class of the new key.
func (s *Session) rotation(o canon.Officer, at int, r Rotation) (canon.KeyClass, error) {
	if _, err := os.Lstat(r.Out); err == nil {
		return 0, fmt.Errorf("%s: expected no such file, found one", r.Out)
	}
	if r.DropOld {
		if r.KeepOld || r.Public != "" || r.KeyOut != "" || r.Class != "" {
			return 0, errors.New("drop-old: expected it without another key, found one")
		}
		if len(o.Keys) == 1 {
			return 0, fmt.Errorf("%w: drop-old: expected another key of officer %q that stays, found none", ErrRefused, o.Name)
		}
		return o.Keys[at].Class, nil
	}
	class, err := r.class()
	if err != nil {
		return 0, err
	}
	if r.KeepOld {
		return class, nil
	}
	if err := s.weaker(o, o.Keys[at].Class, class); err != nil {
		return 0, err
	}
	if len(o.Keys) == 1 && !s.dispensable(o.Name) {
		return 0, refusal.New("quorum", "state.amendment", "one that can be met without the key that goes: add the new one by --keep-old, and take this one out by --drop-old when that is in force",
			quorumText(s.Charter.Genesis().Amendment)+", which takes "+string(o.Name))
	}
	return class, nil
}

// dispensable reports whether the other officers can meet the quorum for amendments.
func (s *Session) dispensable(name canon.Name) bool {
	g := s.Charter.Genesis()
	return slices.ContainsFunc(g.Amendment.AnyOf, func(parts []canon.Part) bool {
		counts, eligible := make([]uint64, len(parts)), make([][]canon.Name, len(parts))
		for i, part := range parts {
			group, _ := s.Charter.Group(part.Group)
			counts[i] = part.Count
			for _, member := range group.Members {
				o, _ := s.Charter.Officer(member)
				if member != name && slices.ContainsFunc(o.Keys, func(k canon.OfficerKey) bool { return k.Class <= group.Weakest }) {
					eligible[i] = append(eligible[i], member)
				}
			}
		}
		return charter.Assign(counts, eligible)
	})
}

// rotated returns which of the officer's keys is to go.
func (s *Session) rotated(o canon.Officer, name string) (int, error) {
	if name == "" {
		name = s.Config.Agent
	}
	if name == "" && s.Config.Key != "" {
		name = s.Config.Key
	}
	if name == "" && len(o.Keys) == 1 {
		return 0, nil
	}
	if name == "" {
		return 0, fmt.Errorf("old: expected which of the %d keys of officer %q is to go, found none named", len(o.Keys), o.Name)
	}
	public, err := s.publicKey(name)
	if err != nil {
		return 0, fmt.Errorf("old: %w", err)
	}
	wire := public.Marshal()
	at := slices.IndexFunc(o.Keys, func(k canon.OfficerKey) bool { return string(k.Public) == string(wire) })
	if at < 0 {
		return 0, fmt.Errorf("%w: old: expected a key of officer %q, found %s", ErrRefused, o.Name, ssh.FingerprintSHA256(public))
	}
	return at, nil
}

func (r Rotation) class() (canon.KeyClass, error) {
	if (r.Public == "") == (r.KeyOut == "") {
		return 0, errors.New("key: expected --key-out for a new key file or --public for a key that exists, found both or none")
	}
	name := r.Class
	if name == "" && r.KeyOut != "" {
		name = keyClasses[canon.ClassFile-1]
	}
	at := slices.Index(keyClasses, name)
	if at < 0 {
		return 0, fmt.Errorf("class: expected one of %s, found %q", strings.Join(keyClasses, ", "), r.Class)
	}
	class := canon.KeyClass(at + 1)
	if r.KeyOut != "" && class != canon.ClassFile {
		return 0, fmt.Errorf("%w: class: expected file for a key file, found %q", ErrRefused, r.Class)
	}
	return class, nil
}

func (r Rotation) classText(c canon.KeyClass) string { return word(c, keyClasses...) }

// weaker refuses a class with which the officer would no longer count in one of his groups.
func (s *Session) weaker(o canon.Officer, old, class canon.KeyClass) error {
	if class <= old {
		return nil
	}
	var l refusal.List
	for _, g := range s.Charter.Genesis().Groups {
		if slices.Contains(g.Members, o.Name) && class > g.Weakest {
			l.Add("class", "groups["+string(g.Name)+"]", "a key of class "+word(g.Weakest, keyClasses...)+" or stronger", word(class, keyClasses...))
		}
	}
	return l.Err()
}

// newOfficerKey returns the key that comes: one that exists, or one that is made now.
func (s *Session) newOfficerKey(r Rotation) ([]byte, KeyView, error) {
	if r.Public != "" {
		public, err := s.publicKey(r.Public)
		if err != nil {
			return nil, KeyView{}, fmt.Errorf("public: %w", err)
		}
		if _, err := charter.ParseOfficerKey(public.Marshal()); err != nil {
			return nil, KeyView{}, fmt.Errorf("%w: public: %w", ErrRefused, err)
		}
		v, err := keyView(public.Marshal(), "")
		return public.Marshal(), v, err
	}
	v, public, err := s.makeKey(r.KeyOut, r.Comment, r.PassphraseFile)
	return public, v, err
}

// withKeys returns the charter in force with other keys of an officer.
func (s *Session) withKeys(name canon.Name, keys []canon.OfficerKey) *canon.Genesis {
	next := *s.Charter.Genesis()
	next.Officers = slices.Clone(next.Officers)
	for i := range next.Officers {
		if next.Officers[i].Name == name {
			next.Officers[i].Keys = keys
		}
	}
	return &next
}

func keyTexts(wire []byte) (fingerprint, line string, err error) {
	public, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return "", "", err
	}
	return ssh.FingerprintSHA256(public), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))), nil
}

// publicKey reads a line of authorized_keys, or a file that holds one or the private key.
func (a *App) publicKey(name string) (ssh.PublicKey, error) {
	if public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(name)); err == nil {
		return public, nil
	}
	text, err := readFile(name, 64<<10)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("expected a public key as in \"ssh-ed25519 AAAA...\" or a file that holds one, found %q", name)
	}
	if err != nil {
		return nil, err
	}
	public, _, err := publicOf(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return public, nil
}

// makeKey makes a key for approvals or requests and writes it, encrypted, to a file that must not exist.
func (a *App) makeKey(out, comment, passphraseFile string) (KeyView, []byte, error) {
	if err := canon.Text(comment).Check(); err != nil {
		return KeyView{}, nil, fmt.Errorf("comment: %w", err)
	}
	passphrase, err := a.newPassphrase(passphraseFile)
	if err != nil {
		return KeyView{}, nil, err
	}
	text, signer, err := approval.NewKeyFile(passphrase, comment)
	if err != nil {
		return KeyView{}, nil, err
	}
	if err := writeNew(out, text, 0o600); err != nil {
		return KeyView{}, nil, err
	}
	v, err := keyView(signer.Public(), comment)
	v.File = out
	return v, signer.Public(), err
}
