package ivms101

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/proto/refusal"
)

func example(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The business examples of section 8 of the standard.
func TestTheStandardsExamplesComeBackAsTheyWere(t *testing.T) {
	for _, name := range []string{"example-1.json", "example-2.json"} {
		p, err := Decode(example(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, err := p.encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(p, again); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	p, err := Decode(example(t, "example-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	if a := p.Originator.OriginatorPersons[0].NaturalPerson.GeographicAddress[0]; a.PostCode != "91765" || a.TownName != "Walnut" {
		t.Errorf("expected the address of the example, found %+v", a)
	}
	if !p.Beneficiary.Persons()[0].LegalName() {
		t.Error("expected a legal name of the beneficiary, found none")
	}
}

// Each case changes the first example in one place.
var broken = []struct{ name, old, new, field string }{
	{"a member of another standard", `"streetName"`, `"streetNom"`, "originator.originatorPersons[0].naturalPerson.geographicAddress[0]"},
	{"a member twice", `"townName": "Walnut",`, `"townName": "Walnut", "TOWNNAME": "Elsewhere",`, "originator.originatorPersons[0].naturalPerson.geographicAddress[0].townName"},
	{"null", `"accountNumber": ["10023909"]`, `"accountNumber": null`, "originator.accountNumber"},
	{"an empty text", `"10023909"`, `""`, "originator.accountNumber[0]"},
	{"a number for a text", `"1002390"`, `1002390`, "originator.originatorPersons[0].naturalPerson.customerIdentification"},
	{"a list for an object", `"originator": {`, `"originator": [{`, "originator"},
	{"no legal name", `"Dr Alice", "nameIdentifierType": "LEGL"`, `"Dr Alice", "nameIdentifierType": "ALIA"`, "originator.originatorPersons[0].naturalPerson.name.nameIdentifier"},
	{"an unknown code", `"Robert", "nameIdentifierType": "LEGL"`, `"Robert", "nameIdentifierType": "NICK"`, "beneficiary.beneficiaryPersons[0].naturalPerson.name.nameIdentifier[0].nameIdentifierType"},
	{"no such country", `"country": "US"`, `"country": "ZZ"`, "originator.originatorPersons[0].naturalPerson.geographicAddress[0].country"},
	{"no town", `"townName": "Walnut",`, ``, "originator.originatorPersons[0].naturalPerson.geographicAddress[0].townName"},
	{"a street alone", `"buildingNumber": "24",
              "buildingName": "Weathering Views",`, ``, "originator.originatorPersons[0].naturalPerson.geographicAddress[0]"},
	{"a long name", `"Barnes"`, `"` + strings.Repeat("b", 101) + `"`, "beneficiary.beneficiaryPersons[0].naturalPerson.name.nameIdentifier[0].primaryIdentifier"},
	{"a line break in a name", `"Barnes"`, `"Bar\nnes"`, "beneficiary.beneficiaryPersons[0].naturalPerson.name.nameIdentifier[0].primaryIdentifier"},
	{"a change of direction in a name", `"Barnes"`, `"Bar\u202enes"`, "beneficiary.beneficiaryPersons[0].naturalPerson.name.nameIdentifier[0].primaryIdentifier"},
	{"a short identifier of a legal entity", `3M5E1GQKGL17HI8CPN20`, `3M5E1GQKGL17HI8CPN2`, "originatingVASP.originatingVASP.legalPerson.nationalIdentification.nationalIdentifier"},
	{"a passport of a company", `"LEIX"`, `"CCPT", "registrationAuthority": "RA000553"`, "originatingVASP.originatingVASP.legalPerson.nationalIdentification.nationalIdentifierType"},
	{"a registration authority of a LEI", `"LEIX"`, `"LEIX", "registrationAuthority": "RA000553"`, "originatingVASP.originatingVASP.legalPerson.nationalIdentification.registrationAuthority"},
	{"a form of no registration authority", `"LEIX"`, `"RAID", "registrationAuthority": "553"`, "originatingVASP.originatingVASP.legalPerson.nationalIdentification.registrationAuthority"},
	{"a country of issue of a company", `"LEIX"`, `"LEIX", "countryOfIssue": "US"`, "originatingVASP.originatingVASP.legalPerson.nationalIdentification.countryOfIssue"},
	{"two names of one element", `"customerIdentification": "1002390"`, `"customerIdentification": "1002390", "customerNumber": "1002390"`, "originator.originatorPersons[0].naturalPerson.customerIdentification"},
	{"no day of birth", `"customerIdentification": "1002390"`, `"dateAndPlaceOfBirth": { "dateOfBirth": "1990-02-30", "placeOfBirth": "Walnut" }`,
		"originator.originatorPersons[0].naturalPerson.dateAndPlaceOfBirth.dateOfBirth"},
	{"another script", `"originatingVASP": {
    "`, `"payloadMetadata": { "transliterationMethod": ["rune"] }, "originatingVASP": {
    "`, "payloadMetadata.transliterationMethod[0]"},
	{"a gap in the path", `"originatingVASP": {
    "originatingVASP"`, `"transferPath": { "transferPath": [{ "sequence": 1, "intermediaryVASP": { "legalPerson": { "name": { "nameIdentifier": [
		{ "legalPersonName": "VASP E", "legalPersonNameIdentifierType": "LEGL" }] } } } }] }, "originatingVASP": { "originatingVASP"`, "transferPath.transferPath[0].sequence"},
	{"a broken number", `"originatingVASP": {
    "`, `"transferPath": { "transferPath": [{ "sequence": 1.5 }] }, "originatingVASP": {
    "`, "transferPath.transferPath[0].sequence"},
	{"two persons in one", `"legalPerson": {
        "name"`, `"naturalPerson": {}, "legalPerson": {
        "name"`, "originatingVASP.originatingVASP"},
}

func TestWhatBreaksTheStandardIsRefusedByTheMembersName(t *testing.T) {
	valid := string(example(t, "example-1.json"))
	for _, c := range broken {
		text := strings.Replace(valid, c.old, c.new, 1)
		if text == valid {
			t.Fatalf("%s: expected a change of the example, found none", c.name)
		}
		_, err := Decode([]byte(text))
		r := refusal.Of(err)
		if r == nil {
			t.Errorf("%s: expected a refusal, found %v", c.name, err)
			continue
		}
		if !namesField(r, c.field) {
			t.Errorf("%s: expected a failure of %s, found %v", c.name, c.field, err)
		}
		quotesNothing(t, c.name, err)
	}
}

func namesField(r *refusal.Refusal, field string) bool {
	for _, f := range r.Failures {
		if f.Field == field {
			return true
		}
	}
	return false
}

// quotesNothing looks for what the examples say about people.
func quotesNothing(t *testing.T, name string, err error) {
	t.Helper()
	for _, secret := range []string{"Smith", "Alice", "Potential", "Weathering", "91765", "Walnut", "Elsewhere", "California", "1002390", "Barnes", "Robert", "1Bvb", "bbb", "3M5E",
		"1990", "VASP A", "streetNom", "NICK", "ZZ"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: expected an error without personal data, found %q in it: %v", name, secret, err)
		}
	}
}

func TestWhatIsNoPayloadIsRefused(t *testing.T) {
	valid := example(t, "example-1.json")
	for name, b := range map[string][]byte{
		"nothing": {}, "a word": []byte("Smith"), "a text": []byte(`"Smith"`), "more after it": append(bytes.Clone(valid), "{}"...), "no UTF-8": bytes.Replace(valid, []byte("Smith"), []byte("Sm\xffth"), 1),
		"cut off": valid[:len(valid)/2], "null": []byte("null"), "too large": append(bytes.Clone(valid), bytes.Repeat([]byte(" "), MaxSize)...), "an empty object": []byte("{}"),
		"a deep list": bytes.Repeat([]byte("["), MaxSize), "names alone": []byte(`{"Smith": 1}`),
	} {
		_, err := Decode(b)
		if refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
			continue
		}
		quotesNothing(t, name, err)
	}
}

func TestBothSidesAreNeeded(t *testing.T) {
	p, err := Decode(example(t, "example-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range []Payload{{Originator: p.Originator}, {Beneficiary: p.Beneficiary}, {Originator: p.Originator, Beneficiary: &Beneficiary{}}} {
		if refusal.Of(half.Check()) == nil {
			t.Errorf("expected a refusal, found none of %+v", half)
		}
	}
}

func TestANameAloneIdentifiesNoOriginator(t *testing.T) {
	p, err := Decode(example(t, "example-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	natural := p.Originator.OriginatorPersons[0].NaturalPerson
	natural.GeographicAddress, natural.CustomerIdentification = nil, ""
	if r := refusal.Of(p.Check()); r == nil || !namesField(r, "originator.originatorPersons[0].naturalPerson") {
		t.Errorf("C1: expected a refusal of the originator, found %v", p.Check())
	}
	company := *p.OriginatingVASP.OriginatingVASP
	p.Originator.OriginatorPersons = []Person{company}
	if err := p.Check(); err != nil {
		t.Errorf("a company with an identifier: expected none, found %v", err)
	}
	unidentified := *company.LegalPerson
	unidentified.NationalIdentification = nil
	unidentified.GeographicAddress = []Address{{AddressType: "BIZZ", TownName: "Zug", AddressLine: []string{"Example Street 1"}, Country: "CH"}}
	p.Originator.OriginatorPersons = []Person{{LegalPerson: &unidentified}}
	if r := refusal.Of(p.Check()); r == nil || !namesField(r, "originator.originatorPersons[0].legalPerson") {
		t.Errorf("C4: expected a refusal of the originator, found %v", p.Check())
	}
}

func TestNobodyIsBornTodayOrLater(t *testing.T) {
	p, err := Decode(example(t, "example-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	born := &DateAndPlaceOfBirth{DateOfBirth: "2024-05-06", PlaceOfBirth: "Zug"}
	p.Beneficiary.Persons()[0].NaturalPerson.DateAndPlaceOfBirth = born
	if err := p.BornBefore(time.Date(2024, 5, 7, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Errorf("the day after: expected none, found %v", err)
	}
	if r := refusal.Of(p.BornBefore(time.Date(2024, 5, 6, 23, 0, 0, 0, time.UTC))); r == nil ||
		!namesField(r, "beneficiary.beneficiaryPersons[0].naturalPerson.dateAndPlaceOfBirth.dateOfBirth") {
		t.Errorf("the same day: expected a refusal, found %v", r)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(example(f, "example-1.json"))
	f.Add(example(f, "example-2.json"))
	f.Add([]byte(`{"originator":{"originatorPersons":[{}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			if refusal.Of(err) == nil {
				t.Fatalf("expected a refusal, found %T", err)
			}
			return
		}
		out, err := p.encode()
		if err != nil {
			if len(b) < MaxSize/2 {
				t.Fatalf("expected what was decoded to be encoded, found %v", err)
			}
			return
		}
		again, err := Decode(out)
		if err != nil {
			t.Fatalf("expected what was encoded to be decoded, found %v", err)
		}
		if d := cmp.Diff(p, again); d != "" {
			t.Fatal(d)
		}
	})
}

func TestARefusalNamesNotMoreThanAPersonReads(t *testing.T) {
	_, err := Decode([]byte(`{"originator":{"originatorPersons":[` + strings.Repeat("{},", 20000) + `{}]},"beneficiary":{}}`))
	if r := refusal.Of(err); r == nil || len(r.Failures) != maxFailures {
		t.Errorf("expected a refusal with %d failures, found %.200v", maxFailures, err)
	}
}
