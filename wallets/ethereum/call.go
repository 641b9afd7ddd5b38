package ethereum

import "fmt"

// ContractCall is a call of a function of a contract with static arguments: its call data is a selector and one word for each argument.
// What the words mean is said by a Function.
type ContractCall struct {
	Contract [20]byte
	Selector [4]byte
	Words    [][32]byte // at most MaxWords
}

// ParseCall reads the call data of a contract call. No data, data that is no selector followed by whole words, more than MaxWords words and
// calls of transfer(address,uint256), which are payments (TokenTransfer), are refused.
func ParseCall(contract [20]byte, data []byte) (*ContractCall, error) {
	if isTransfer(data) {
		return nil, fmt.Errorf("data: expected another function than transfer(address,uint256), which is a payment, found its selector %x", transferSelector)
	}
	return parseWords(contract, data)
}

// CallDataError says that call data is no selector with up to MaxWords whole words. Selector is what it begins with, zero if it is shorter.
type CallDataError struct {
	Selector [4]byte
	Size     int // bytes
}

// Error names what was expected and what was found.
func (e *CallDataError) Error() string {
	return fmt.Sprintf("data: expected the selector of a function, 4 bytes, and up to %d words of 32 bytes, found %d bytes that begin with %x",
		MaxWords, e.Size, e.Selector[:min(e.Size, 4)])
}

func parseWords(contract [20]byte, data []byte) (*ContractCall, error) {
	n := (len(data) - 4) / 32
	if len(data) < 4 || (len(data)-4)%32 != 0 || n > MaxWords {
		e := &CallDataError{Size: len(data)}
		copy(e.Selector[:], data)
		return nil, e
	}
	c := &ContractCall{Contract: contract, Selector: [4]byte(data[:4]), Words: make([][32]byte, n)}
	for i := range c.Words {
		c.Words[i] = [32]byte(data[4+32*i:])
	}
	return c, nil
}

// Data returns the call data.
func (c *ContractCall) Data() []byte {
	data := append(make([]byte, 0, 4+32*len(c.Words)), c.Selector[:]...)
	for _, w := range c.Words {
		data = append(data, w[:]...)
	}
	return data
}
