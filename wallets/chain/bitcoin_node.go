package chain

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// Error codes of Bitcoin Core's rpc/protocol.h, which btcd follows where it can.
const (
	codeNotFound       = -5  // RPC_INVALID_ADDRESS_OR_KEY; btcd: no transaction information, block not found
	codeDecode         = -22 // RPC_DESERIALIZATION_ERROR
	codeVerify         = -25 // RPC_VERIFY_ERROR
	codeRejected       = -26 // RPC_VERIFY_REJECTED
	codeAlreadyInChain = -27 // RPC_VERIFY_ALREADY_IN_UTXO_SET
)

// maxSearch is how many blocks Confirmations searches on a node without a transaction index.
const maxSearch = 1008

// BitcoinNode is Bitcoin over the JSON-RPC of btcd or Bitcoin Core.
type BitcoinNode struct {
	chain string
	fees  FeePolicy
	rpc   *jsonRPC
}

var _ Bitcoin = (*BitcoinNode)(nil)

// Close drops idle connections. Calls under way go on.
func (n *BitcoinNode) Close() { n.rpc.http.CloseIdleConnections() }

// Chain implements Bitcoin.
func (n *BitcoinNode) Chain() string { return n.chain }

// Tip implements Bitcoin.
func (n *BitcoinNode) Tip(ctx context.Context) (Block, error) {
	var info struct {
		Blocks        int64  `json:"blocks"`
		BestBlockHash string `json:"bestblockhash"`
	}
	if err := n.rpc.call(ctx, &info, "getblockchaininfo"); err != nil {
		return Block{}, err
	}
	hash, err := parseHash("getblockchaininfo", info.BestBlockHash)
	if err == nil && info.Blocks < 0 {
		err = fmt.Errorf("chain: getblockchaininfo: negative height %d", info.Blocks)
	}
	return Block{Height: info.Blocks, Hash: hash}, err
}

// HashAt implements Bitcoin.
func (n *BitcoinNode) HashAt(ctx context.Context, height int64) (chainhash.Hash, error) {
	var s string
	if err := n.rpc.call(ctx, &s, "getblockhash", height); err != nil {
		return chainhash.Hash{}, err
	}
	return parseHash("getblockhash", s)
}

// Parent implements Bitcoin.
func (n *BitcoinNode) Parent(ctx context.Context, hash chainhash.Hash) (chainhash.Hash, error) {
	var s string
	if err := n.rpc.call(ctx, &s, "getblockheader", hash.String(), false); err != nil {
		return chainhash.Hash{}, notFound(err)
	}
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != wire.MaxBlockHeaderPayload {
		return chainhash.Hash{}, fmt.Errorf("chain: getblockheader: expected %d bytes in hexadecimal, found %d characters", wire.MaxBlockHeaderPayload, len(s))
	}
	var h wire.BlockHeader
	if err := h.Deserialize(bytes.NewReader(raw)); err != nil {
		return chainhash.Hash{}, fmt.Errorf("chain: getblockheader: %w", err)
	}
	if found := h.BlockHash(); found != hash {
		return chainhash.Hash{}, fmt.Errorf("chain: getblockheader: asked for %s, found %s", hash, found)
	}
	return h.PrevBlock, nil
}

// BlockAt implements Bitcoin.
func (n *BitcoinNode) BlockAt(ctx context.Context, height int64) (*wire.MsgBlock, chainhash.Hash, error) {
	hash, err := n.HashAt(ctx, height)
	if err != nil {
		return nil, chainhash.Hash{}, err
	}
	var s string
	if err := n.rpc.call(ctx, &s, "getblock", hash.String(), 0); err != nil {
		return nil, chainhash.Hash{}, notFound(err)
	}
	block, err := decodeBlock(s, hash)
	return block, hash, err
}

// decodeBlock checks that the bytes are the block with this hash: its header, and by the merkle root its transactions.
func decodeBlock(s string, hash chainhash.Hash) (*wire.MsgBlock, error) {
	raw, err := hex.DecodeString(s)
	if err != nil {
		return nil, errors.New("chain: getblock: result is not hexadecimal")
	}
	var block wire.MsgBlock
	r := bytes.NewReader(raw)
	if err := block.Deserialize(r); err != nil {
		return nil, fmt.Errorf("chain: getblock: %w", err)
	}
	if r.Len() != 0 {
		return nil, fmt.Errorf("chain: getblock: %d bytes after the block", r.Len())
	}
	if found := block.BlockHash(); found != hash {
		return nil, fmt.Errorf("chain: getblock: asked for %s, found %s", hash, found)
	}
	root, err := merkleRoot(block.Transactions)
	if err != nil {
		return nil, fmt.Errorf("chain: getblock %s: %w", hash, err)
	}
	if root != block.Header.MerkleRoot {
		return nil, fmt.Errorf("chain: getblock %s: merkle root of the transactions is %s, of the header %s", hash, root, block.Header.MerkleRoot)
	}
	return &block, nil
}

// merkleRoot is the root over the txids. Two equal neighbours are refused: they are how a block's list of transactions is
// changed without changing its root (CVE-2012-2459).
func merkleRoot(txs []*wire.MsgTx) (chainhash.Hash, error) {
	if len(txs) == 0 {
		return chainhash.Hash{}, errors.New("block without transactions")
	}
	level := make([]chainhash.Hash, len(txs))
	for i, tx := range txs {
		level[i] = tx.TxHash()
	}
	for len(level) > 1 {
		for i := 0; i+1 < len(level); i += 2 {
			if level[i] == level[i+1] {
				return chainhash.Hash{}, errors.New("block repeats transactions in its merkle tree")
			}
		}
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		for i := 0; i < len(level)/2; i++ {
			pair := append(append([]byte{}, level[2*i][:]...), level[2*i+1][:]...)
			level[i] = chainhash.DoubleHashH(pair)
		}
		level = level[:len(level)/2]
	}
	return level[0], nil
}

// Transaction implements Bitcoin.
func (n *BitcoinNode) Transaction(ctx context.Context, txid chainhash.Hash) (Transaction, error) {
	var r struct {
		Hex           string `json:"hex"`
		BlockHash     string `json:"blockhash"`
		Confirmations int64  `json:"confirmations"`
	}
	if err := n.rpc.call(ctx, &r, "getrawtransaction", txid.String(), 1); err != nil {
		return Transaction{}, notFound(err)
	}
	t, err := decodeTransaction(r.Hex, txid)
	if err != nil {
		return Transaction{}, err
	}
	t.Confirmations = max(r.Confirmations, 0)
	if r.BlockHash != "" {
		t.BlockHash, err = parseHash("getrawtransaction", r.BlockHash)
	}
	return t, err
}

func decodeTransaction(s string, txid chainhash.Hash) (Transaction, error) {
	raw, err := hex.DecodeString(s)
	if err != nil {
		return Transaction{}, errors.New("chain: getrawtransaction: result is not hexadecimal")
	}
	tx := new(wire.MsgTx)
	r := bytes.NewReader(raw)
	if err := tx.Deserialize(r); err != nil {
		return Transaction{}, fmt.Errorf("chain: getrawtransaction: %w", err)
	}
	if r.Len() != 0 {
		return Transaction{}, fmt.Errorf("chain: getrawtransaction: %d bytes after the transaction", r.Len())
	}
	if found := tx.TxHash(); found != txid {
		return Transaction{}, fmt.Errorf("chain: getrawtransaction: asked for %s, found %s", txid, found)
	}
	return Transaction{Tx: tx, Raw: raw}, nil
}

// Broadcast implements Bitcoin.
func (n *BitcoinNode) Broadcast(ctx context.Context, tx *wire.MsgTx) error {
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return fmt.Errorf("chain: sendrawtransaction: %w", err)
	}
	var s string
	err := n.rpc.call(ctx, &s, "sendrawtransaction", hex.EncodeToString(raw.Bytes()))
	var answer *RPCError
	if err == nil || !errors.As(err, &answer) {
		return err
	}
	txid := tx.TxHash()
	switch answer.Code {
	case codeAlreadyInChain:
		return nil
	case codeVerify, codeRejected, codeDecode:
		// The words for "I have it" differ between nodes and versions, so the node is asked whether it does.
		if _, err := n.Transaction(ctx, txid); err == nil {
			return nil
		}
		return &Rejected{TxID: txid.String(), Code: answer.Code, Reason: answer.Message}
	}
	return err
}

// Confirmations implements Bitcoin.
func (n *BitcoinNode) Confirmations(ctx context.Context, txid chainhash.Hash, from int64) (Confirmation, error) {
	t, err := n.Transaction(ctx, txid)
	switch {
	case errors.Is(err, ErrNotFound):
		return n.search(ctx, txid, from)
	case err != nil:
		return Confirmation{}, err
	case t.BlockHash == chainhash.Hash{}:
		return Confirmation{InMempool: true}, nil
	}
	var h struct {
		Height int64 `json:"height"`
	}
	if err := n.rpc.call(ctx, &h, "getblockheader", t.BlockHash.String(), true); err != nil {
		return Confirmation{}, notFound(err)
	}
	return n.confirmation(ctx, Block{Height: h.Height, Hash: t.BlockHash})
}

func (n *BitcoinNode) search(ctx context.Context, txid chainhash.Hash, from int64) (Confirmation, error) {
	if from < 0 {
		return Confirmation{}, ErrNotFound
	}
	tip, err := n.Tip(ctx)
	if err != nil {
		return Confirmation{}, err
	}
	if tip.Height-from >= maxSearch {
		return Confirmation{}, fmt.Errorf("chain: search for %s from height %d to %d: more than %d blocks", txid, from, tip.Height, maxSearch)
	}
	for height := tip.Height; height >= from; height-- {
		block, hash, err := n.BlockAt(ctx, height)
		if err != nil {
			return Confirmation{}, err
		}
		for _, tx := range block.Transactions {
			if tx.TxHash() == txid {
				return n.confirmation(ctx, Block{Height: height, Hash: hash})
			}
		}
	}
	return Confirmation{}, ErrNotFound
}

func (n *BitcoinNode) confirmation(ctx context.Context, b Block) (Confirmation, error) {
	depth, err := n.DepthOf(ctx, b)
	if err != nil || depth == 0 {
		return Confirmation{}, err
	}
	return Confirmation{Depth: depth, Block: b}, nil
}

// DepthOf implements Bitcoin.
func (n *BitcoinNode) DepthOf(ctx context.Context, b Block) (int64, error) {
	tip, err := n.Tip(ctx)
	if err != nil {
		return 0, err
	}
	if b.Height < 0 || b.Height > tip.Height {
		return 0, nil
	}
	hash, err := n.HashAt(ctx, b.Height)
	if err != nil || hash != b.Hash {
		return 0, err
	}
	return tip.Height - b.Height + 1, nil
}

func parseHash(method, s string) (chainhash.Hash, error) {
	if len(s) != chainhash.MaxHashStringSize {
		return chainhash.Hash{}, fmt.Errorf("chain: %s: expected a hash of %d digits, found %d", method, chainhash.MaxHashStringSize, len(s))
	}
	h, err := chainhash.NewHashFromStr(s)
	if err != nil {
		return chainhash.Hash{}, fmt.Errorf("chain: %s: hash is not hexadecimal", method)
	}
	return *h, nil
}

// notFound turns a node's answer that it does not have the thing into ErrNotFound, keeping the node's words.
func notFound(err error) error {
	var answer *RPCError
	if errors.As(err, &answer) && answer.Code == codeNotFound {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}
