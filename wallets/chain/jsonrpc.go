package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// jsonRPC is a JSON-RPC client over HTTP POST with basic authentication, as btcd and Bitcoin Core serve it.
type jsonRPC struct {
	url      string
	user     string
	password []byte
	timeout  time.Duration
	http     *http.Client
}

type rpcRequest struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

type rpcReply struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// call asks the node and decodes its result into out. A node's own error is an *RPCError.
func (c *jsonRPC) call(ctx context.Context, out any, method string, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, body, err := c.post(ctx, method, params)
	if err != nil {
		return fmt.Errorf("chain: %s: %w", method, err)
	}
	return decodeReply(method, status, body, out)
}

func (c *jsonRPC) post(ctx context.Context, method string, params []any) (int, []byte, error) {
	if params == nil {
		params = []any{}
	}
	// Both nodes speak version 1.0, and Core answers 1.0 and 2.0 with different HTTP codes.
	b, err := json.Marshal(rpcRequest{Version: "1.0", ID: 1, Method: method, Params: params})
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(b))
	if err != nil {
		return 0, nil, errors.New("request cannot be made for this node URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(c.user, string(c.password))
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// decodeReply reads a node's answer. Core sends errors with HTTP 500 or 404 and a JSON body, btcd with HTTP 200.
func decodeReply(method string, status int, body []byte, out any) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("chain: %s: node refused the credentials, HTTP status %d", method, status)
	}
	var reply rpcReply
	if err := json.Unmarshal(body, &reply); err != nil {
		return fmt.Errorf("chain: %s: HTTP status %d, answer is not JSON-RPC: %s", method, status, quotable(string(body)))
	}
	if reply.Error != nil {
		return &RPCError{Method: method, Code: reply.Error.Code, Message: quotable(reply.Error.Message)}
	}
	if status != http.StatusOK {
		return fmt.Errorf("chain: %s: HTTP status %d without a JSON-RPC error", method, status)
	}
	if out == nil {
		return nil
	}
	if len(reply.Result) == 0 || string(reply.Result) == "null" {
		return fmt.Errorf("chain: %s: answer has no result", method)
	}
	if err := json.Unmarshal(reply.Result, out); err != nil {
		return fmt.Errorf("chain: %s: result of another type than expected: %w", method, err)
	}
	return nil
}
