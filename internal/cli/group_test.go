package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

func TestGroupsOfAnAddressAreShownAndSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	edit := adding("")
	edit.Groups = []canon.Name{"partners", "exchanges"}
	file := w.edit(t, alice, edit)
	expect(t, strings.Join(strings.Fields(alice.out.String()), " "), "groups: exchanges, partners")
	w.publish(t, file, "2")
	w.wait(24 * time.Hour)
	if err := alice.run(t, verifyBook(unknownOfA)); err != nil {
		t.Fatal(err)
	}
	expect(t, strings.Join(strings.Fields(alice.out.String()), " "), "groups: exchanges, partners", "payable")
}

func TestGroupsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	for name, groups := range map[string][]canon.Name{
		"all of them": {canon.Any}, "no name": {"Exchanges!"}, "one twice": {"a", "a"}, "too many": {"a", "b", "c", "d", "e", "f", "g", "h", "i"},
	} {
		edit := adding(t.TempDir() + "/change")
		edit.Groups = groups
		if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.EditBook(ctx, edit) }); err == nil || !strings.Contains(err.Error(), "groups") {
			t.Errorf("%s: expected an error about groups, found %v", name, err)
		}
	}
}
