package ceremony

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Expected is what a verifier knows from elsewhere; zero digests expect nothing. Without Transcript and Known nobody vouches for the attendants' keys:
// anybody can make up a transcript with people of the right names.
type Expected struct {
	Software   canon.Digest // of the executable that was published
	Module     canon.Digest // of the vendor's module
	Transcript canon.Digest // as somebody who was in the room noted it
	Known      *Known       // who may have been there
	Pool       string       // path of a pool, or of a part of one, whose keys of this token must be the transcript's
	Aborted    bool         // accept a ceremony that ended as aborted
}

// Report is what a transcript says, for people and programs.
type Report struct {
	Digest       string          `json:"digest"`
	Words        [12]string      `json:"words"`
	Organisation string          `json:"organisation,omitempty"`
	Title        string          `json:"title"`
	Purpose      string          `json:"purpose"`
	Place        string          `json:"place"`
	Began        string          `json:"began"` // RFC 3339
	Ended        string          `json:"ended"`
	Aborted      bool            `json:"aborted"`
	Vouched      bool            `json:"vouched"` // the caller knew the attendants' keys or the digest from elsewhere
	Pool         *ReportPool     `json:"pool,omitempty"`
	Software     string          `json:"software"` // SHA-256
	Module       string          `json:"module"`   // SHA-256
	Token        ReportToken     `json:"token"`
	Present      []ReportPerson  `json:"present"`
	Steps        []ReportStep    `json:"steps"`
	Keys         []ReportKey     `json:"keys"`
	Unsigned     []string        `json:"unsigned"` // attendants whose signature is missing
	Refused      []ReportRefusal `json:"refused,omitempty"`

	all bool // Write shows every key
}

// ReportPool is the pool whose keys were held against the transcript's.
type ReportPool struct {
	Digest string `json:"digest"`
	Signer string `json:"signer"` // whose part it is
	Keys   int    `json:"keys"`
}

// ReportToken is the token.
type ReportToken struct {
	Label        string `json:"label"`
	Serial       string `json:"serial"`
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Hardware     string `json:"hardware"`
	Firmware     string `json:"firmware"`
}

// ReportPerson is an attendant.
type ReportPerson struct {
	Name   string `json:"name"`
	Label  string `json:"label"`
	Role   string `json:"role"`
	Key    string `json:"key"` // SHA-256 fingerprint, as ssh-keygen -l prints it
	Signed bool   `json:"signed"`
}

// ReportStep is a step.
type ReportStep struct {
	At      string       `json:"at"`
	Action  string       `json:"action"`
	Outcome string       `json:"outcome"`
	By      []canon.Name `json:"by,omitempty"`
}

// ReportKey is a key.
type ReportKey struct {
	Label      string            `json:"label"`
	Use        string            `json:"use"`
	Public     string            `json:"public"` // hexadecimal
	Address    string            `json:"address,omitempty"`
	Class      string            `json:"class"` // none, wrap or restored, as its attributes show
	Attributes map[string]string `json:"attributes"`
}

// ReportRefusal is a check that failed.
type ReportRefusal struct {
	Rule     string `json:"rule"`
	Field    string `json:"field"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// ErrUnsigned: everything in the transcript is good, but not everybody who was present has signed it.
var ErrUnsigned = errors.New("transcript: not signed by everybody who was present")

// ErrUnvouched: everything in the transcript is good and signed, but by keys of which the caller did not say that they are anybody's.
var ErrUnvouched = errors.New("transcript: nobody vouched for the keys of those who were present")

// Verify reads a transcript and the signatures beside it and checks everything that the files can show: form, attributes and test signature of every
// key, that all who were present signed, and what the caller expects. The error is a *refusal.Refusal with every check that failed, or ErrUnsigned where
// only signatures are missing, or ErrUnvouched; the report is there with all of them.
func Verify(path string, want Expected) (*Report, error) {
	t, err := readTranscript(path)
	if err != nil {
		return nil, err
	}
	var l refusal.List
	classes := verifyDocument(&l, &t.Transcript)
	r := report(t, classes)
	expect(&l, t, r.Aborted, want)
	if want.Pool != "" {
		if r.Pool, err = verifyPool(&l, t, want.Pool); err != nil {
			return nil, err
		}
	}
	for i, a := range t.Present {
		signed, err := checkSignature(&l, path, t, a)
		if err != nil {
			return nil, err
		}
		if r.Present[i].Signed = signed; !signed {
			r.Unsigned = append(r.Unsigned, string(a.Name))
		}
	}
	if err := l.Err(); err != nil {
		for _, f := range refusal.Of(err).Failures {
			r.Refused = append(r.Refused, ReportRefusal{f.Rule, f.Field, f.Expected, f.Found})
		}
		return r, err
	}
	r.Vouched = want.Known != nil || !want.Transcript.IsZero()
	if len(r.Unsigned) > 0 {
		return r, fmt.Errorf("%w: expected %d signatures, missing those of %v", ErrUnsigned, len(t.Present), r.Unsigned)
	}
	if !r.Vouched {
		return r, ErrUnvouched
	}
	return r, nil
}

func expect(l *refusal.List, t *transcript, aborted bool, want Expected) {
	if !want.Software.IsZero() && t.Software != want.Software {
		l.Add("transcript", "software", want.Software.String(), t.Software.String())
	}
	if !want.Module.IsZero() && t.Module != want.Module {
		l.Add("transcript", "module", want.Module.String(), t.Module.String())
	}
	if !want.Transcript.IsZero() && t.digest != want.Transcript {
		l.Add("transcript", "digest", want.Transcript.String(), t.digest.String())
	}
	if want.Known != nil {
		want.Known.check(l, &t.Transcript)
	}
	if aborted && !want.Aborted {
		l.Add("transcript", "steps", "a complete ceremony", "one that was aborted")
	}
}

// checkSignature verifies the signature of an attendant. It is false without a refusal if there is none.
func checkSignature(l *refusal.List, path string, t *transcript, a canon.Attendant) (bool, error) {
	text, err := readAtMost(SignatureFile(path, a.Name), maxArmor)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil && refusal.Of(err) == nil {
		return false, err
	}
	field := fmt.Sprintf("signatures[%s]", a.Name)
	if err == nil {
		var signature []byte
		if signature, err = approval.Unarmor(text); err == nil {
			err = approval.VerifyAttendant(t.document, a.Key, signature)
		}
	}
	if err != nil {
		l.Add("signature", field, "one by the attendant over this transcript", err.Error())
		return false, nil
	}
	return true, nil
}

// classOfPurpose is which classes of secp256k1 keys a ceremony leaves behind.
var classOfPurpose = map[canon.CeremonyPurpose][]string{
	canon.CeremonyGenerate: {ClassNone, ClassWrap}, canon.CeremonyBackup: {ClassWrap}, canon.CeremonyRestore: {ClassRestored}}

// verifyDocument checks everything that the document alone can show, and returns the class of each key.
func verifyDocument(l *refusal.List, t *canon.Transcript) []string {
	for i, a := range t.Present {
		if _, err := charter.ParseOfficerKey(a.Key); err != nil {
			l.Add("transcript", fmt.Sprintf("present[%d].key", i), "an SSH key that may sign", err.Error())
		}
	}
	_, ended := ending(t)
	if !ended {
		l.Add("transcript", "steps", "a last step that ends the ceremony, confirmed by everybody", "none")
	}
	checkSteps(l, t)
	if aborted, _ := ending(t); len(t.Keys) == 0 && !aborted {
		l.Add("transcript", "keys", "at least 1", "none")
	}
	classes := make([]string, len(t.Keys))
	seen := map[string]int{}
	for i, k := range t.Keys {
		classes[i] = checkKey(l, t, i)
		checkPurpose(l, t, i, classes[i])
		for _, name := range []string{"label " + string(k.Label), "public " + string(k.Public)} {
			if other, twice := seen[name]; twice {
				l.Add("transcript", fmt.Sprintf("keys[%d]", i), "a label and a public key of its own", fmt.Sprintf("those of keys[%d]", other))
			}
			seen[name] = i
		}
	}
	return classes
}

func checkPurpose(l *refusal.List, t *canon.Transcript, i int, class string) {
	if may := classesOf(t.Purpose, &t.Keys[i]); !slices.Contains(may, class) {
		l.Add("attributes", fmt.Sprintf("keys[%d].attributes", i), fmt.Sprintf("those of class %v for this purpose", may), "those of class "+class)
	}
}

// classesOf is which classes a key may have. A signer's identity never leaves its token and never came in.
func classesOf(purpose canon.CeremonyPurpose, k *canon.CeremonyKey) []string {
	if len(k.Public) == ed25519.PublicKeySize {
		return []string{ClassNone}
	}
	return classOfPurpose[purpose]
}

// checkSteps refuses steps outside the ceremony's time, and confirmations by others than those present.
func checkSteps(l *refusal.List, t *canon.Transcript) {
	present := map[canon.Name]bool{}
	for _, a := range t.Present {
		present[a.Name] = true
	}
	for i, s := range t.Steps {
		if s.At < t.Began || s.At > t.Ended {
			l.Add("transcript", fmt.Sprintf("steps[%d].at", i), fmt.Sprintf("from %d to %d", t.Began, t.Ended), fmt.Sprint(s.At))
		}
		for _, by := range s.By {
			if !present[by] {
				l.Add("transcript", fmt.Sprintf("steps[%d].by", i), "somebody who was present", string(by))
			}
		}
	}
}

// ending returns whether the ceremony was aborted, and false if nothing ended it, or not everybody confirmed its end.
func ending(t *canon.Transcript) (aborted, ended bool) {
	if len(t.Steps) == 0 {
		return false, false
	}
	last := t.Steps[len(t.Steps)-1]
	everybody := slices.EqualFunc(last.By, t.Present, func(by canon.Name, a canon.Attendant) bool { return by == a.Name })
	aborted = last.Outcome == outcomeAborted
	return aborted, last.Action == actionEnd && everybody && (aborted || last.Outcome == outcomeComplete)
}

func report(t *transcript, classes []string) *Report {
	aborted, _ := ending(&t.Transcript)
	r := &Report{Digest: t.digest.String(), Words: t.digest.Words(), Title: string(t.Title), Place: string(t.Place), Began: t.Began.At().Format(time.RFC3339),
		Ended: t.Ended.At().Format(time.RFC3339), Aborted: aborted, Software: t.Software.String(), Module: t.Module.String(), Unsigned: []string{},
		Token: ReportToken{string(t.Token.Label), string(t.Token.Serial), string(t.Token.Manufacturer), string(t.Token.Model),
			string(t.Token.Hardware), string(t.Token.Firmware)}}
	if !t.Organisation.IsZero() {
		r.Organisation = t.Organisation.String()
	}
	for name, p := range purposes {
		if p == t.Purpose {
			r.Purpose = name
		}
	}
	for _, a := range t.Present {
		r.Present = append(r.Present, ReportPerson{Name: string(a.Name), Label: string(a.Label), Role: string(a.Role), Key: fingerprint(a.Key)})
	}
	for _, s := range t.Steps {
		r.Steps = append(r.Steps, ReportStep{s.At.At().Format(time.RFC3339), string(s.Action), string(s.Outcome), s.By})
	}
	for i, k := range t.Keys {
		key := ReportKey{Label: string(k.Label), Use: string(k.Use), Public: fmt.Sprintf("%x", k.Public), Class: classes[i], Attributes: map[string]string{}}
		if len(k.Address) > 0 {
			key.Address = fmt.Sprintf("%x", k.Address)
		}
		for _, a := range k.Attributes {
			key.Attributes[string(a.Name)] = fmt.Sprintf("%x", a.Value)
		}
		r.Keys = append(r.Keys, key)
	}
	return r
}
