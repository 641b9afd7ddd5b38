// Command compare measures what a decision costs: Strongroom's rules next to Open Policy Agent and Cedar on the same rules, with 1, 100 and 10,000 of
// them, and with address books of 1,000 and 1,000,000 entries. Before it measures, it asks all three about the same requests and fails if one of them
// answers otherwise.
//
// It is a module of its own so that the product depends on none of them. Numbers of one run are comparable with each other and with nothing else; the
// ratios are what to look at. Rules are written as each language wants them: a list in order here, one indexed rule each in Rego, one permit or forbid
// each in Cedar. They name different clients, so that the order, which Cedar has not, does not matter.
package main
