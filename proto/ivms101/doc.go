// Package ivms101 reads travel-rule data: who sends an asset and who receives it, in the data model of the interVASP Messaging
// Standard IVMS101, Issue 1 (Joint Working Group on interVASP Messaging Standards, May 2020, intervasp.org), as JSON.
//
// The standard defines entities, elements, multiplicities, data types and the constraints C1 to C12, and leaves the notation open. Here members
// have the standard's names and codes are written as it writes them; an entity that has one element of its own name contains it (originatingVASP.originatingVASP), and case does not matter
// in names, because implementations differ in it. Elements that the standard itself calls by two names may have either: customerIdentification and
// customerNumber, postCode and postcode, beneficiaryPersons and beneficiaryPerson.
//
// Decode refuses more than MaxSize bytes, members that the standard does not have or that come twice, null, empty texts, and whatever breaks a
// constraint. Of three it checks less than the standard says: of C10 the form of a registration authority's code and not whether the GLEIF list
// has it; of C2 that a date is one, for which day is today only the caller knows (Payload.BornBefore); and of texts their length and that they
// can be shown, not that they keep to the standard's Latin letters, digits, apostrophe and space, which real names do not.
//
// What is refused is personal data more often than not, so errors name the member, what was expected and at most a size, and never a value. The
// package does no I/O and trusts nothing.
package ivms101
