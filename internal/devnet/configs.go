package devnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func (d *Devnet) writeCoordinatorConfig() error {
	dir := filepath.Dir(d.genesis)
	bitcoin, evm := d.Bitcoin.Config(), d.EVM.Config()
	var b strings.Builder
	fmt.Fprintf(&b, "organisation = %q\ngenesis = \"genesis.cbor\"\nbook = \"book.toml\"\ndatabase = \"strongroom.db\"\npools = %q\nlisten = %q\n", d.Charter.Organisation(), d.pools, d.address)
	fmt.Fprintf(&b, "key = \"coordinator.key\"\nclients_ca = \"ca/ca.pem\"\n")
	fmt.Fprintf(&b, "devnet = true\nparallel = 4\npoll = \"300ms\"\n")
	for _, n := range d.Signers() {
		fmt.Fprintf(&b, "\n[[signers]]\nname = %q\naddress = %q\n", n.Name, n.Address)
	}
	for _, a := range d.Authorities {
		fmt.Fprintf(&b, "\n[[authorities]]\nname = %q\naddress = %q\ntls_key = %q\n", a.Name, a.Address, a.TLS)
	}
	fmt.Fprintf(&b, "\n[[bitcoin]]\nchain = %q\nurl = %q\nuser = %q\npassword_file = %q\ntimeout = \"15s\"\nstart_height = 0\ntarget_blocks = 6\n",
		bitcoin.Chain, bitcoin.URL, bitcoin.User, bitcoin.PasswordFile)
	fmt.Fprintf(&b, "fee_floor = 1000\nfee_fallback = 5000\nfee_ceiling = 200000\n")
	fmt.Fprintf(&b, "\n[[evm]]\nchain = %q\ngenesis = %q\nurl = %q\ntimeout = \"15s\"\ntip_ceiling = \"5000000000\"\nfee_ceiling = \"100000000000\"\n", evm.Chain, evm.Genesis.Hex(), evm.URL)
	return os.WriteFile(filepath.Join(dir, "strongroomd.toml"), []byte(b.String()), 0o600)
}

// staleAfter lets a devnet stand still for as long as anybody would keep one, whatever time its first blocks have.
const staleAfter = "1000000h"

func (d *Devnet) writeNodeConfig(n *Node) error {
	var b strings.Builder
	fmt.Fprintf(&b, "organisation = %q\ngenesis = %q\nname = %q\ndata = %q\nlisten = %q\npools = %q\n",
		d.Charter.Organisation(), d.genesis, n.Name, filepath.Join(n.Dir, "data"), n.Address, d.pools)
	token := fmt.Sprintf("module = %q\nlabel = %q\nserial = \"\"\npin_file = %q\n", n.module, n.Name, filepath.Join(n.Dir, "pin"))
	fmt.Fprintf(&b, "\n[token]\n%sidentity = \"strongroom-identity\"\nsealing = \"strongroom-sealing\"\n", token)
	if n == d.Vault {
		for _, wallet := range []string{BTCVault, ETHVault} {
			fmt.Fprintf(&b, "\n[[devices]]\nwallet = %q\n%s", wallet, token)
		}
	}
	fmt.Fprintf(&b, "\n[peers]\n")
	for _, peer := range d.Signers() {
		if peer != n {
			fmt.Fprintf(&b, "%s = %q\n", peer.Name, peer.Address)
		}
	}
	// Each signer should have nodes of its own; on a devnet there is one of each chain, which gets a block when somebody asks for one.
	bitcoin, evm := d.Bitcoin.Config(), d.EVM.Config()
	fmt.Fprintf(&b, "\n[[bitcoin]]\nchain = %q\nurl = %q\nuser = %q\npassword_file = %q\ntimeout = \"15s\"\nstart_height = 0\nstale_after = \"%s\"\n", bitcoin.Chain, bitcoin.URL, bitcoin.User, bitcoin.PasswordFile, staleAfter)
	fmt.Fprintf(&b, "\n[[evm]]\nchain = %q\ngenesis = %q\nurl = %q\ntimeout = \"15s\"\nstale_after = \"%s\"\n", evm.Chain, evm.Genesis.Hex(), evm.URL, staleAfter)
	return os.WriteFile(filepath.Join(n.Dir, "node.toml"), []byte(b.String()), 0o600)
}
