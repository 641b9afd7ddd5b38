package ivms101

// Payload is the whole of it. Section numbers are those of the standard.
type Payload struct {
	Originator      *Originator      `json:"originator,omitempty"`      // 6.2
	Beneficiary     *Beneficiary     `json:"beneficiary,omitempty"`     // 6.3
	OriginatingVASP *OriginatingVASP `json:"originatingVASP,omitempty"` // 6.4
	BeneficiaryVASP *BeneficiaryVASP `json:"beneficiaryVASP,omitempty"` // 6.5
	TransferPath    *TransferPath    `json:"transferPath,omitempty"`    // 6.6
	PayloadMetadata *PayloadMetadata `json:"payloadMetadata,omitempty"` // 6.7
}

// Originator is who sends.
type Originator struct {
	OriginatorPersons []Person `json:"originatorPersons,omitempty"`
	AccountNumber     []string `json:"accountNumber,omitempty"` // Max100Text
}

// Beneficiary is who receives.
type Beneficiary struct {
	BeneficiaryPersons []Person `json:"beneficiaryPersons,omitempty"`
	BeneficiaryPerson  []Person `json:"beneficiaryPerson,omitempty"` // the other name of the same
	AccountNumber      []string `json:"accountNumber,omitempty"`     // Max100Text; on a chain the address that is paid
}

// Persons returns the beneficiary's persons under whichever name they came.
func (b Beneficiary) Persons() []Person {
	if len(b.BeneficiaryPersons) > 0 {
		return b.BeneficiaryPersons
	}
	return b.BeneficiaryPerson
}

// OriginatingVASP is the service provider that sends for the originator.
type OriginatingVASP struct {
	OriginatingVASP *Person `json:"originatingVASP,omitempty"`
}

// BeneficiaryVASP is the service provider that receives for the beneficiary.
type BeneficiaryVASP struct {
	BeneficiaryVASP *Person `json:"beneficiaryVASP,omitempty"`
}

// TransferPath lists the service providers between the two.
type TransferPath struct {
	TransferPath []IntermediaryVASP `json:"transferPath,omitempty"`
}

// IntermediaryVASP is one of them (5.2.13). Sequence counts from 0 without a gap (C12).
type IntermediaryVASP struct {
	IntermediaryVASP *Person `json:"intermediaryVASP,omitempty"`
	Sequence         *uint64 `json:"sequence,omitempty"`
}

// PayloadMetadata says how names were brought into Latin script.
type PayloadMetadata struct {
	TransliterationMethod []string `json:"transliterationMethod,omitempty"` // 5.3.16
}

// Person is a natural or a legal person, and not both (5.2.1).
type Person struct {
	NaturalPerson *NaturalPerson `json:"naturalPerson,omitempty"`
	LegalPerson   *LegalPerson   `json:"legalPerson,omitempty"`
}

// LegalName reports whether the person has a name of type LEGL. What Decode accepts has.
func (p Person) LegalName() bool {
	if n := p.NaturalPerson; n != nil && n.Name != nil {
		return hasLegal(n.Name.NameIdentifier, func(i NaturalPersonNameID) string { return i.NameIdentifierType })
	}
	if l := p.LegalPerson; l != nil && l.Name != nil {
		return hasLegal(l.Name.NameIdentifier, func(i LegalPersonNameID) string { return i.LegalPersonNameIdentifierType })
	}
	return false
}

func hasLegal[T any](list []T, kind func(T) string) bool {
	for _, v := range list {
		if kind(v) == legal {
			return true
		}
	}
	return false
}

// NaturalPerson is a human being (5.2.2).
type NaturalPerson struct {
	Name                   *NaturalPersonName      `json:"name,omitempty"`
	GeographicAddress      []Address               `json:"geographicAddress,omitempty"`
	NationalIdentification *NationalIdentification `json:"nationalIdentification,omitempty"`
	CustomerIdentification string                  `json:"customerIdentification,omitempty"` // Max50Text
	CustomerNumber         string                  `json:"customerNumber,omitempty"`         // the other name of the same
	DateAndPlaceOfBirth    *DateAndPlaceOfBirth    `json:"dateAndPlaceOfBirth,omitempty"`
	CountryOfResidence     string                  `json:"countryOfResidence,omitempty"`
}

// NaturalPersonName holds names, in Latin script, in the person's own, and as pronounced (5.2.3).
type NaturalPersonName struct {
	NameIdentifier         []NaturalPersonNameID `json:"nameIdentifier,omitempty"`
	LocalNameIdentifier    []NaturalPersonNameID `json:"localNameIdentifier,omitempty"`
	PhoneticNameIdentifier []NaturalPersonNameID `json:"phoneticNameIdentifier,omitempty"`
}

// NaturalPersonNameID is a name in two parts (5.2.4, 5.2.5).
type NaturalPersonNameID struct {
	PrimaryIdentifier   string `json:"primaryIdentifier,omitempty"`   // Max100Text: family name, or all of it
	SecondaryIdentifier string `json:"secondaryIdentifier,omitempty"` // Max100Text: given names
	NameIdentifierType  string `json:"nameIdentifierType,omitempty"`  // 5.3.8
}

// Address is where a person can be found (5.2.6).
type Address struct {
	AddressType        string   `json:"addressType,omitempty"` // 5.3.11
	Department         string   `json:"department,omitempty"`
	SubDepartment      string   `json:"subDepartment,omitempty"`
	StreetName         string   `json:"streetName,omitempty"`
	BuildingNumber     string   `json:"buildingNumber,omitempty"`
	BuildingName       string   `json:"buildingName,omitempty"`
	Floor              string   `json:"floor,omitempty"`
	PostBox            string   `json:"postBox,omitempty"`
	Room               string   `json:"room,omitempty"`
	PostCode           string   `json:"postCode,omitempty"`
	TownName           string   `json:"townName,omitempty"`
	TownLocationName   string   `json:"townLocationName,omitempty"`
	DistrictName       string   `json:"districtName,omitempty"`
	CountrySubDivision string   `json:"countrySubDivision,omitempty"`
	AddressLine        []string `json:"addressLine,omitempty"`
	Country            string   `json:"country,omitempty"`
}

// DateAndPlaceOfBirth is when and where somebody was born (5.2.7).
type DateAndPlaceOfBirth struct {
	DateOfBirth  string `json:"dateOfBirth,omitempty"` // YYYY-MM-DD
	PlaceOfBirth string `json:"placeOfBirth,omitempty"`
}

// NationalIdentification is a number under which an authority knows a person (5.2.8).
type NationalIdentification struct {
	NationalIdentifier     string `json:"nationalIdentifier,omitempty"`     // Max35Text
	NationalIdentifierType string `json:"nationalIdentifierType,omitempty"` // 5.3.14
	CountryOfIssue         string `json:"countryOfIssue,omitempty"`
	RegistrationAuthority  string `json:"registrationAuthority,omitempty"` // 5.3.13
}

// LegalPerson is a company, a foundation and the like (5.2.9).
type LegalPerson struct {
	Name                   *LegalPersonName        `json:"name,omitempty"`
	GeographicAddress      []Address               `json:"geographicAddress,omitempty"`
	CustomerIdentification string                  `json:"customerIdentification,omitempty"` // Max50Text
	CustomerNumber         string                  `json:"customerNumber,omitempty"`         // the other name of the same
	NationalIdentification *NationalIdentification `json:"nationalIdentification,omitempty"`
	CountryOfRegistration  string                  `json:"countryOfRegistration,omitempty"`
}

// LegalPersonName holds names, in Latin script, in another, and as pronounced (5.2.10).
type LegalPersonName struct {
	NameIdentifier         []LegalPersonNameID `json:"nameIdentifier,omitempty"`
	LocalNameIdentifier    []LegalPersonNameID `json:"localNameIdentifier,omitempty"`
	PhoneticNameIdentifier []LegalPersonNameID `json:"phoneticNameIdentifier,omitempty"`
}

// LegalPersonNameID is a name (5.2.11, 5.2.12).
type LegalPersonNameID struct {
	LegalPersonName               string `json:"legalPersonName,omitempty"`               // Max100Text
	LegalPersonNameIdentifierType string `json:"legalPersonNameIdentifierType,omitempty"` // 5.3.9
}
