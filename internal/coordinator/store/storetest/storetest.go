// Package storetest is the suite that every implementation of store.Store passes. It says nothing about files or SQL: a database that
// passes behaves for the coordinator like every other.
package storetest

import (
	"context"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// Factory opens an empty store of the organisation withdrawaltest.Organisation for one test. The store is closed by the suite.
type Factory func(t *testing.T) store.Store

// Run runs the suite. Each test gets a store of its own, and afterwards the store must still verify.
func Run(t *testing.T, open Factory) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"CreateIsIdempotentOnTheRequest", createIsIdempotent},
		{"ApplyMovesRowEventAndLeafTogether", applyMovesEverything},
		{"ApplyIsAllOrNothing", applyIsAllOrNothing},
		{"OutdatedRowsAreRefused", outdatedRows},
		{"ParallelUpdatesOfOneRowHappenOnce", parallelUpdates},
		{"ListPagesInOrder", listPages},
		{"PageTokensOfOtherQueriesAreRefused", pageTokens},
		{"EventsResumeFromASequenceNumber", eventsResume},
		{"WaitersWakeOnCommit", waitersWake},
		{"CheckpointsMustBePrefixes", checkpoints},
		{"ProofsVerify", proofs},
		{"AnAnchorHasOneHolder", anchorHasOneHolder},
		{"ParallelTakesOfOneAnchorGiveOneWinner", parallelAnchors},
		{"AnchorsFollowTheState", anchorsFollow},
		{"NoncesAreContiguous", nonces},
		{"CoinsFollowTheChain", coinsFollow},
		{"ReorganisationsUndoBlocks", reorganisations},
		{"BlocksMustFitTheCursor", cursors},
		{"ACoinHasOneHolder", coinHasOneHolder},
		{"SetAsideNeverExceedsTheBalance", setAside},
		{"AmountsOf256BitsAddUp", largeAmounts},
		{"AddressesAreIssuedOnce", addresses},
		{"ChangeIsKeptWithTheTransaction", changeIsKeptWithTheTransaction},
		{"ParallelAddressesGetDistinctPlaces", parallelAddresses},
		{"CharterEntriesAreKeptInOrder", charterEntries},
		{"BookChangesAreKeptInOrder", bookChanges},
		{"StatementsAreKeptInOrder", statements},
		{"HabitsAreRemembered", habits},
		{"DesksSeeWhatTheyAskedFor", desks},
		{"TravelDataIsKeptApart", travelData},
		{"APoolsAddressesBelongToAccounts", pooledAddresses},
		{"SetAsideOfAPoolCountsTogether", pooledSetAside},
		{"TheBookFollowsBlocks", bookFollowsBlocks},
		{"TheBookFollowsWithdrawals", bookFollowsWithdrawals},
		{"TheBookAddsUpOnARandomChain", bookOfARandomChain},
		{"AnEVMChainIsBookedBlockByBlock", bookOfAnEVMChain},
		{"AnEVMChainIsBookedAnewAfterAReorganisation", evmReorganised},
		{"ADepositIsAttributedOnce", attributions},
		{"ADepositIsAttributedInParts", attributedInParts},
		{"WhatIsOwedCoversWithdrawals", owedCovers},
		{"DepositsThatAreNotDeepCoverNothing", shallowCoversNothing},
		{"WhatIsOwedIsCheckedAgainBeforeItIsReserved", stillOwed},
		{"ClosedStoresAnswerSo", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			c.test(t, s)
			if err := s.Verify(t.Context()); err != nil && c.name != "ClosedStoresAnswerSo" {
				t.Errorf("verify: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// create stores a new withdrawal.
func create(t testing.TB, s store.Store, chain canon.ChainID, id string) withdrawal.Withdrawal {
	t.Helper()
	w, created, err := s.Create(t.Context(), withdrawaltest.New(t, withdrawaltest.Request(chain, id)), "client/acme")
	if err != nil || !created {
		t.Fatalf("create %s: created %t, error %v", id, created, err)
	}
	return w
}

// apply applies events of these kinds, one by one.
func apply(t testing.TB, s store.Store, w withdrawal.Withdrawal, kinds ...withdrawal.Kind) withdrawal.Withdrawal {
	t.Helper()
	for _, k := range kinds {
		var err error
		if w, err = Apply(t.Context(), t, s, w, k); err != nil {
			t.Fatalf("%s: %v", k, err)
		}
	}
	return w
}

// Apply applies one well-formed event of that kind to the row w.
func Apply(ctx context.Context, t testing.TB, s store.Store, w withdrawal.Withdrawal, k withdrawal.Kind) (withdrawal.Withdrawal, error) {
	t.Helper()
	return s.Apply(ctx, w.ID, w.Version, withdrawaltest.Event(t, w, k))
}

// toBroadcast leads from requested to broadcast.
var toBroadcast = withdrawaltest.Paths[withdrawal.Broadcast]
