package coordinator

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestAddressesAreAttestedAndIdempotent(t *testing.T) {
	w := newWorld(t, "")
	w.learn()
	e := w.serve(false)
	wallets := strongroomv1.NewWalletServiceClient(e.as(rpc.Custodian, "acme"))
	ask := func(id string) *strongroomv1.Address {
		t.Helper()
		a, err := wallets.CreateAddress(e.ctx, &strongroomv1.CreateAddressRequest{Parent: "wallets/btc-hot/accounts/acme-main", RequestId: id})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	w.nodes["node-1"].set(func(n *node) { n.mangle = true })
	w.nodes["node-2"].set(func(n *node) { n.down = true })
	first, again, second := ask("x"), ask("x"), ask("y")
	if first.GetAddress() != again.GetAddress() || second.GetIndex() != 1 || first.GetAddress() == second.GetAddress() {
		t.Errorf("expected one address for one id, found %v, %v, %v", first, again, second)
	}
	if len(first.GetAttestations()) != 2 {
		t.Errorf("expected two attestations, found %d", len(first.GetAttestations()))
	}
	w.nodes["node-3"].set(func(n *node) { n.down = true })
	if _, err := wallets.CreateAddress(e.ctx, &strongroomv1.CreateAddressRequest{Parent: "wallets/btc-hot/accounts/acme-main", RequestId: "z"}); status.Code(err) != codes.Unavailable {
		t.Errorf("expected no address with one honest answer, found %v", err)
	}
	list, err := wallets.ListAddresses(e.ctx, &strongroomv1.ListAddressesRequest{Parent: "wallets/btc-hot/accounts/acme-main"})
	if err != nil || len(list.GetAddresses()) != 2 {
		t.Errorf("expected two addresses, found %v, %v", list, err)
	}
	globex := strongroomv1.NewWalletServiceClient(e.as(rpc.Custodian, "globex"))
	if _, err := globex.ListAddresses(e.ctx, &strongroomv1.ListAddressesRequest{Parent: "wallets/btc-hot/accounts/acme-main"}); status.Code(err) != codes.NotFound {
		t.Errorf("expected NotFound for another client, found %v", err)
	}
}

func TestBalancesShowWhatIsSetAside(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	w.create("a")
	e := w.serve(false)
	list, err := strongroomv1.NewWalletServiceClient(e.as(rpc.Custodian, "acme")).ListWallets(e.ctx, &strongroomv1.ListWalletsRequest{})
	if err != nil || len(list.GetWallets()) != 2 {
		t.Fatalf("expected two wallets, found %v, %v", list, err)
	}
	b := list.GetWallets()[0].GetBalances()
	if len(b) != 1 || b[0].GetConfirmed() != "30000000" || b[0].GetPending() != "1050000" || b[0].GetAccount() != "acme-main" {
		t.Errorf("expected 30000000 and 1050000 of acme-main alone, found %v", b)
	}
}

func TestKeyGenerationComparesAnswers(t *testing.T) {
	w := newWorld(t, "")
	e := w.serve(false)
	operator := strongroomv1.NewOperationServiceClient(e.as(rpc.Operator, "ops"))
	w.nodes["node-4"].set(func(n *node) { n.mangle = true })
	if _, err := operator.GenerateKey(e.ctx, &strongroomv1.GenerateKeyRequest{Key: "hot"}); status.Code(err) != codes.Aborted {
		t.Errorf("expected Aborted for different keys, found %v", err)
	}
	w.nodes["node-4"].set(func(n *node) { n.mangle = false })
	got, err := operator.GenerateKey(e.ctx, &strongroomv1.GenerateKeyRequest{Key: "hot"})
	if err != nil || len(got.GetKey().GetPublicKey()) != 33 {
		t.Errorf("expected a key, found %v, %v", got, err)
	}
	if _, err := operator.GenerateKey(e.ctx, &strongroomv1.GenerateKeyRequest{Key: "cold"}); status.Code(err) != codes.NotFound {
		t.Errorf("expected NotFound, found %v", err)
	}
	seen, err := operator.GetStatus(e.ctx, &strongroomv1.GetStatusRequest{})
	if err != nil || len(seen.GetSigners()) != 4 || len(seen.GetChains()) != 2 || string(seen.GetGenesis()) != string(w.genesis) {
		t.Errorf("expected four signers, two chains and the genesis, found %v, %v", seen, err)
	}
}

func TestTheAuditLogIsSignedAndRecomputable(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	w.create("a")
	w.create("b", amount(310_000_000))
	e := w.serve(false)
	auditor := strongroomv1.NewAuditServiceClient(e.as(rpc.Auditor, "eve"))
	got, err := auditor.GetCheckpoint(e.ctx, &strongroomv1.GetCheckpointRequest{})
	if err != nil {
		t.Fatal(err)
	}
	origin := audit.Origin(w.charter.Organisation())
	verifier, err := audit.NewVerifier(origin, public(w.coordinator))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := audit.OpenCheckpoint(got.GetCheckpoint(), origin, verifier)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := auditor.ListAuditLeaves(e.ctx, &strongroomv1.ListAuditLeavesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := audit.Recompute(func(yield func([]byte, error) bool) {
		for _, l := range leaves.GetLeaves() {
			if !yield(l.GetData(), nil) {
				return
			}
		}
	})
	if err != nil || root != tree || tree.Size != 4 {
		t.Errorf("expected %s of 4 leaves, found %s, %v", tree, root, err)
	}
	again, err := auditor.GetCheckpoint(e.ctx, &strongroomv1.GetCheckpointRequest{})
	if err != nil || string(again.GetCheckpoint()) != string(got.GetCheckpoint()) {
		t.Errorf("expected the same checkpoint of the same tree, found another, %v", err)
	}
}
