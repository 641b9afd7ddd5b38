package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what happened, as it is written to report.json.
type Report struct {
	Organisation string        `json:"organisation"`
	Key          string        `json:"key"` // compressed public key of the group, hexadecimal
	Rows         []Row         `json:"withdrawals"`
	Attacks      []Attack      `json:"attacks"`
	Transactions []Transaction `json:"transactions"`
	Seconds      float64       `json:"seconds"`
}

// Row is one withdrawal.
type Row struct {
	Title      string   `json:"title"`
	Withdrawal string   `json:"withdrawal"`
	State      string   `json:"state"`
	Amount     string   `json:"amount"` // decimal, with symbol
	Asset      string   `json:"asset"`
	TxID       string   `json:"txid,omitempty"`
	Rule       string   `json:"rule,omitempty"`
	Approvers  []string `json:"approvers,omitempty"`
	Signers    []string `json:"signers,omitempty"`
	Refusals   []string `json:"refusals,omitempty"`
	Seconds    float64  `json:"seconds"`
}

// Attack is what a hostile coordinator tried, and what each signer said.
type Attack struct {
	Name     string            `json:"name"`
	Refusals map[string]string `json:"refusals"`
}

// Transaction is a transaction that was broadcast, in the form that the check by other libraries reads.
type Transaction struct {
	Chain   string   `json:"chain"`
	TxID    string   `json:"txid"`
	Raw     string   `json:"raw"`
	Asset   string   `json:"asset"`
	Outputs []Output `json:"outputs"`
	Change  []Output `json:"change"`
	Fee     string   `json:"fee"`
	Inputs  []Input  `json:"inputs"`
	From    string   `json:"from,omitempty"`
	Nonce   uint64   `json:"nonce"`
	Call    *Call    `json:"call,omitempty"` // made instead of a payment
}

// Call is a call of a contract.
type Call struct {
	Contract  string   `json:"contract"`
	Signature string   `json:"signature"`
	Arguments []string `json:"arguments"` // numbers in decimal, addresses and bytes in hexadecimal
	Value     string   `json:"value"`     // coin that went with it
}

// Output is a payment or change: a script on Bitcoin, an address on an EVM chain.
type Output struct {
	Script  string `json:"script,omitempty"`
	Address string `json:"address,omitempty"`
	Amount  string `json:"amount"`
}

// Input is a Bitcoin input: of one key, or of a witness script that several keys sign.
type Input struct {
	Value         string `json:"value"`
	Script        string `json:"script"`
	PublicKey     string `json:"publicKey,omitempty"`
	WitnessScript string `json:"witnessScript,omitempty"`
}

// Write writes the report to a file.
func (r *Report) Write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o600)
}

// Table writes what happened for people.
func (r *Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WITHDRAWAL\tSTATE\tAMOUNT\tASSET\tTXID\tAPPROVED BY\tSIGNED BY\tTIME")
	for _, row := range r.Rows {
		amount, symbol, _ := strings.Cut(row.Amount, " ")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f s\n", row.Title, row.State, amount, symbol, dash(clip(row.TxID)), dash(strings.Join(row.Approvers, " ")),
			dash(strings.Join(row.Signers, " ")), row.Seconds)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "HOSTILE COORDINATOR\tANSWERS\tFOR EXAMPLE")
	for _, a := range r.Attacks {
		fmt.Fprintf(t, "%s\t%s\t%s\n", a.Name, a.answers(), a.example())
	}
	return t.Flush()
}

func (a Attack) answers() string { return fmt.Sprintf("%d refused", len(a.Refusals)) }

func (a Attack) example() string {
	best := ""
	for _, s := range a.Refusals {
		if best == "" || s < best {
			best = s
		}
	}
	if len(best) > 100 {
		best = best[:100] + "…"
	}
	return best
}

func clip(txid string) string {
	if len(txid) > 16 {
		return txid[:16] + "…"
	}
	return txid
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
