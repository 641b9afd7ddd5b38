//go:build chains

package chains_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/devnet/chains"
)

// parentEnv makes this test binary a process that starts btcd in the directory it names, prints its URL, and waits.
const parentEnv = "STRONGROOM_TEST_BTCD_PARENT"

func TestMain(m *testing.M) {
	dir := os.Getenv(parentEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	b, err := chains.StartBitcoin(context.Background(), dir, os.Getenv(chains.BtcdEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(b.Config().URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

func TestBtcdDiesWithAParentThatIsKilledAndItsChainGoesOn(t *testing.T) {
	path, dir := btcd(t), t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir, chains.BtcdEnv+"="+path)
	parent.Stderr = os.Stderr
	stdin, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host) // open while btcd lives
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed, which is an error here
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatalf("read %d bytes; expected the connection to end with btcd", n)
	}
	again := startBitcoin(t, dir)
	defer again.Close()
	if tip, err := again.Node().Tip(t.Context()); err != nil || tip.Height < 120 {
		t.Errorf("tip %v, %v; expected the 120 blocks of before", tip, err)
	}
}
