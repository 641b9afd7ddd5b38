package ivms101

import (
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/strongroom/strongroom/proto/refusal"
)

const legal = "LEGL"

// Code lists of the standard.
var (
	naturalNames      = []string{"ALIA", "BIRT", "MAID", legal, "MISC"}                                                                  // 5.3.8
	legalNames        = []string{legal, "SHRT", "TRAD"}                                                                                  // 5.3.9
	addressTypes      = []string{"HOME", "BIZZ", "GEOG"}                                                                                 // 5.3.11
	identifiers       = []string{"ARNU", "CCPT", "RAID", "DRLC", "FIIN", "TXID", "SOCS", "IDCD", "LEIX", "MISC"}                         // 5.3.14
	legalIdentifiers  = []string{"RAID", "MISC", "LEIX", "TXID"}                                                                         // C7
	transliterations  = []string{"arab", "aran", "armn", "cyrl", "deva", "geor", "grek", "hani", "hebr", "kana", "kore", "thai", "othr"} // 5.3.16
	leiForm           = regexp.MustCompile(`^[0-9A-Z]{18}[0-9]{2}$`)                                                                     // 5.3.7
	registrationsForm = regexp.MustCompile(`^RA[0-9]{6}$`)                                                                               // 5.3.13
)

// maxFailures is how many failures a refusal names: a small payload can break the standard in a hundred thousand places.
const maxFailures = 20

// checker collects what a payload breaks.
type checker struct {
	refusal.List
	failures int
}

func (c *checker) add(field, expected, found string) {
	if c.failures++; c.failures <= maxFailures {
		c.Add(rule, field, expected, found)
	}
}

// Check refuses payloads that break the standard. Every failure names its member and no value; those after the 20th are left out.
func (p *Payload) Check() error {
	var c checker
	if p.Originator == nil || p.Beneficiary == nil {
		c.add("originator, beneficiary", "both", "one or none")
	}
	if o := p.Originator; o != nil {
		c.persons("originator.originatorPersons", o.OriginatorPersons)
		for i, person := range o.OriginatorPersons {
			c.identified(fmt.Sprintf("originator.originatorPersons[%d]", i), person)
		}
		c.texts("originator.accountNumber", o.AccountNumber, 100)
	}
	if b := p.Beneficiary; b != nil {
		if len(b.BeneficiaryPersons) > 0 && len(b.BeneficiaryPerson) > 0 {
			c.add("beneficiary.beneficiaryPersons", "one name of the element", "both")
		}
		c.persons("beneficiary.beneficiaryPersons", b.Persons())
		c.texts("beneficiary.accountNumber", b.AccountNumber, 100)
	}
	if v := p.OriginatingVASP; v != nil && v.OriginatingVASP != nil {
		c.person("originatingVASP.originatingVASP", *v.OriginatingVASP)
	}
	if v := p.BeneficiaryVASP; v != nil && v.BeneficiaryVASP != nil {
		c.person("beneficiaryVASP.beneficiaryVASP", *v.BeneficiaryVASP)
	}
	c.path(p.TransferPath)
	if m := p.PayloadMetadata; m != nil {
		for i, v := range m.TransliterationMethod {
			c.code(fmt.Sprintf("payloadMetadata.transliterationMethod[%d]", i), v, transliterations)
		}
	}
	return c.Err()
}

// BornBefore refuses dates of birth that are not before today, in UTC (C2).
func (p *Payload) BornBefore(today time.Time) error {
	var c checker
	day := today.UTC().Format(time.DateOnly)
	check := func(field string, list []Person) {
		for i, person := range list {
			if n := person.NaturalPerson; n != nil && n.DateAndPlaceOfBirth != nil && n.DateAndPlaceOfBirth.DateOfBirth >= day {
				c.add(fmt.Sprintf("%s[%d].naturalPerson.dateAndPlaceOfBirth.dateOfBirth", field, i), "a date before today (C2)", "another")
			}
		}
	}
	if p.Originator != nil {
		check("originator.originatorPersons", p.Originator.OriginatorPersons)
	}
	if p.Beneficiary != nil {
		check("beneficiary.beneficiaryPersons", p.Beneficiary.Persons())
	}
	return c.Err()
}

// path holds a transfer path against C12.
func (c *checker) path(t *TransferPath) {
	if t == nil {
		return
	}
	for i, v := range t.TransferPath {
		at := fmt.Sprintf("transferPath.transferPath[%d]", i)
		if v.Sequence == nil || *v.Sequence != uint64(i) {
			c.add(at+".sequence", fmt.Sprintf("%d (C12)", i), "another or none")
		}
		if v.IntermediaryVASP == nil {
			c.add(at+".intermediaryVASP", "a person", "none")
			continue
		}
		c.person(at+".intermediaryVASP", *v.IntermediaryVASP)
	}
}

func (c *checker) persons(at string, list []Person) {
	if len(list) == 0 {
		c.add(at, "at least 1 person", "none")
	}
	for i, p := range list {
		c.person(fmt.Sprintf("%s[%d]", at, i), p)
	}
}

func (c *checker) person(at string, p Person) {
	if (p.NaturalPerson == nil) == (p.LegalPerson == nil) {
		c.add(at, "a natural or a legal person", "both or none")
		return
	}
	if p.NaturalPerson != nil {
		c.natural(at+".naturalPerson", *p.NaturalPerson)
		return
	}
	c.legal(at+".legalPerson", *p.LegalPerson)
}

// identified holds an originator against C1 and C4: a name alone identifies nobody.
func (c *checker) identified(at string, p Person) {
	if n := p.NaturalPerson; n != nil && len(n.GeographicAddress) == 0 && n.CustomerIdentification == "" && n.CustomerNumber == "" &&
		n.NationalIdentification == nil && n.DateAndPlaceOfBirth == nil {
		c.add(at+".naturalPerson", "an address, a customer identification, a national identification or a date and place of birth (C1)", "none of them")
	}
	geographic := func(a Address) bool { return a.AddressType == "GEOG" }
	if l := p.LegalPerson; l != nil && !slices.ContainsFunc(l.GeographicAddress, geographic) && l.CustomerIdentification == "" && l.CustomerNumber == "" &&
		l.NationalIdentification == nil {
		c.add(at+".legalPerson", "an address of type GEOG, a customer number or a national identification (C4)", "none of them")
	}
}

func (c *checker) natural(at string, n NaturalPerson) {
	if n.Name == nil || len(n.Name.NameIdentifier) == 0 {
		c.add(at+".name.nameIdentifier", "at least 1", "none")
	} else if !(Person{NaturalPerson: &n}).LegalName() {
		c.add(at+".name.nameIdentifier", "at least one of type LEGL (C6)", "none")
	}
	if n.Name != nil {
		for _, list := range []struct {
			name string
			ids  []NaturalPersonNameID
		}{{"nameIdentifier", n.Name.NameIdentifier}, {"localNameIdentifier", n.Name.LocalNameIdentifier}, {"phoneticNameIdentifier", n.Name.PhoneticNameIdentifier}} {
			for i, id := range list.ids {
				in := fmt.Sprintf("%s.name.%s[%d]", at, list.name, i)
				c.need(in+".primaryIdentifier", id.PrimaryIdentifier, 100)
				c.text(in+".secondaryIdentifier", id.SecondaryIdentifier, 100)
				c.code(in+".nameIdentifierType", id.NameIdentifierType, naturalNames)
			}
		}
	}
	c.addresses(at+".geographicAddress", n.GeographicAddress)
	c.customer(at, n.CustomerIdentification, n.CustomerNumber)
	if i := n.NationalIdentification; i != nil {
		c.identification(at+".nationalIdentification", *i)
	}
	if b := n.DateAndPlaceOfBirth; b != nil {
		if _, err := time.Parse(time.DateOnly, b.DateOfBirth); err != nil {
			c.add(at+".dateAndPlaceOfBirth.dateOfBirth", "a date as YYYY-MM-DD", "another text")
		}
		c.need(at+".dateAndPlaceOfBirth.placeOfBirth", b.PlaceOfBirth, 70)
	}
	c.country(at+".countryOfResidence", n.CountryOfResidence)
}

func (c *checker) legal(at string, l LegalPerson) {
	if l.Name == nil || len(l.Name.NameIdentifier) == 0 {
		c.add(at+".name.nameIdentifier", "at least 1", "none")
	} else if !(Person{LegalPerson: &l}).LegalName() {
		c.add(at+".name.nameIdentifier", "at least one of type LEGL (C5)", "none")
	}
	if l.Name != nil {
		for _, list := range []struct {
			name string
			ids  []LegalPersonNameID
		}{{"nameIdentifier", l.Name.NameIdentifier}, {"localNameIdentifier", l.Name.LocalNameIdentifier}, {"phoneticNameIdentifier", l.Name.PhoneticNameIdentifier}} {
			for i, id := range list.ids {
				in := fmt.Sprintf("%s.name.%s[%d]", at, list.name, i)
				c.need(in+".legalPersonName", id.LegalPersonName, 100)
				c.code(in+".legalPersonNameIdentifierType", id.LegalPersonNameIdentifierType, legalNames)
			}
		}
	}
	c.addresses(at+".geographicAddress", l.GeographicAddress)
	c.customer(at, l.CustomerIdentification, l.CustomerNumber)
	if i := l.NationalIdentification; i != nil {
		c.identification(at+".nationalIdentification", *i)
		c.registered(at+".nationalIdentification", *i)
	}
	c.country(at+".countryOfRegistration", l.CountryOfRegistration)
}

func (c *checker) customer(at, identification, number string) {
	if identification != "" && number != "" {
		c.add(at+".customerIdentification", "one name of the element", "both")
	}
	c.text(at+".customerIdentification", identification, 50)
	c.text(at+".customerNumber", number, 50)
}

func (c *checker) identification(at string, i NationalIdentification) {
	c.need(at+".nationalIdentifier", i.NationalIdentifier, 35)
	c.code(at+".nationalIdentifierType", i.NationalIdentifierType, identifiers)
	c.country(at+".countryOfIssue", i.CountryOfIssue)
	if i.RegistrationAuthority != "" && !registrationsForm.MatchString(i.RegistrationAuthority) {
		c.add(at+".registrationAuthority", "RA and 6 digits (C10)", "another text")
	}
}

// registered holds a legal person's identification against C7, C9 and C11.
func (c *checker) registered(at string, i NationalIdentification) {
	lei := i.NationalIdentifierType == "LEIX"
	if !slices.Contains(legalIdentifiers, i.NationalIdentifierType) {
		c.add(at+".nationalIdentifierType", fmt.Sprintf("one of %v for a legal person (C7)", legalIdentifiers), "another")
	}
	if i.CountryOfIssue != "" {
		c.add(at+".countryOfIssue", "none for a legal person (C9)", "one")
	}
	if lei == (i.RegistrationAuthority != "") {
		c.add(at+".registrationAuthority", "one exactly if the type is not LEIX (C9)", "otherwise")
	}
	if lei && !leiForm.MatchString(i.NationalIdentifier) {
		c.add(at+".nationalIdentifier", "a legal entity identifier of 20 characters (C11)", "another text")
	}
}

func (c *checker) addresses(at string, list []Address) {
	for i, a := range list {
		in := fmt.Sprintf("%s[%d]", at, i)
		c.code(in+".addressType", a.AddressType, addressTypes)
		for _, v := range []struct {
			name, value string
			most        int
		}{
			{"department", a.Department, 50}, {"subDepartment", a.SubDepartment, 70}, {"streetName", a.StreetName, 70}, {"buildingNumber", a.BuildingNumber, 16},
			{"buildingName", a.BuildingName, 35}, {"floor", a.Floor, 70}, {"postBox", a.PostBox, 16}, {"room", a.Room, 70}, {"postCode", a.PostCode, 16},
			{"townLocationName", a.TownLocationName, 35}, {"districtName", a.DistrictName, 35}, {"countrySubDivision", a.CountrySubDivision, 35},
		} {
			c.text(in+"."+v.name, v.value, v.most)
		}
		c.need(in+".townName", a.TownName, 35)
		c.texts(in+".addressLine", a.AddressLine, 70)
		if len(a.AddressLine) > 7 {
			c.add(in+".addressLine", "at most 7", fmt.Sprint(len(a.AddressLine)))
		}
		if len(a.AddressLine) == 0 && (a.StreetName == "" || a.BuildingName == "" && a.BuildingNumber == "") {
			c.add(in, "an address line, or a street with a building's name or number (C8)", "none of them")
		}
		if a.Country == "" {
			c.add(in+".country", "a country", "none")
		}
		c.country(in+".country", a.Country)
	}
}

func (c *checker) need(at, value string, most int) {
	if value == "" {
		c.add(at, fmt.Sprintf("1 to %d characters", most), "none")
	}
	c.text(at, value, most)
}

func (c *checker) texts(at string, list []string, most int) {
	for i, v := range list {
		c.need(fmt.Sprintf("%s[%d]", at, i), v, most)
	}
}

// text refuses what is too long, and what changes how a line is shown: control characters and overrides of direction.
func (c *checker) text(at, value string, most int) {
	if n := utf8.RuneCountInString(value); n > most {
		c.add(at, fmt.Sprintf("at most %d characters", most), fmt.Sprint(n))
	}
	for _, r := range value {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError {
			c.add(at, "characters that can be shown", "others")
			return
		}
	}
}

func (c *checker) code(at, value string, list []string) {
	if !slices.Contains(list, value) {
		c.add(at, fmt.Sprintf("one of %v", list), "another or none")
	}
}

func (c *checker) country(at, value string) {
	if value != "" && !countries[value] {
		c.add(at, "an ISO 3166-1 alpha-2 code or XX (C3)", "another text")
	}
}
