package child

import (
	"context"
	"fmt"

	"github.com/strongroom/strongroom/hsm"
)

// handles number the keys that the parent found. A key that is found again keeps its number.
type handles struct {
	keys  []any // hsm.Identity, hsm.Sealer or hsm.ECDSA; number 0 is none
	names map[keyName]uint64
}

type keyName struct {
	kind  op
	label string
	class hsm.KeyClass
}

func (h *handles) put(name keyName, key any) (uint64, error) {
	if n, known := h.names[name]; known {
		h.keys[n-1] = key
		return n, nil
	}
	if len(h.keys) >= maxHandles {
		return 0, fmt.Errorf("child: %w: expected at most %d keys in use, found more", hsm.ErrDevice, maxHandles)
	}
	if h.names == nil {
		h.names = map[keyName]uint64{}
	}
	h.keys = append(h.keys, key)
	n := uint64(len(h.keys))
	h.names[name] = n
	return n, nil
}

// handled finds a key that the parent found before.
func handled[K any](s *server, handle uint64) (K, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none K
	if handle == 0 || handle > uint64(len(s.handles.keys)) {
		return none, fmt.Errorf("child: %w: handle %d: expected one that was given out, at most %d", hsm.ErrNoKey, handle, len(s.handles.keys))
	}
	key, ok := s.handles.keys[handle-1].(K)
	if !ok {
		return none, fmt.Errorf("child: %w: handle %d: expected a key of another kind, found %T", hsm.ErrNoKey, handle, s.handles.keys[handle-1])
	}
	return key, nil
}

// found answers with the number and the public key of a key that was looked up.
func (s *server) found(kind op, q request, key any, public []byte) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.handles.put(keyName{kind, q.Label, classOf(q)}, key)
	return reply{Key: n, Data: public}, err
}

func classOf(q request) hsm.KeyClass {
	return hsm.KeyClass{Restorable: q.Restorable, Attended: q.Attended}
}

// handle does what a request asks for.
func (s *server) handle(ctx context.Context, q request) (reply, error) {
	switch q.Op {
	case opIdentity, opCreateIdentity, opSealer, opCreateSealer, opECDSA, opCreateECDSA:
		return s.find(ctx, q)
	case opSignMessage, opSignDigest, opSeal, opOpen:
		data, err := s.use(ctx, q)
		return reply{Data: data}, err
	case opInventory:
		return s.inventory(ctx, q.Key)
	case opCheck:
		return reply{}, s.token.Check(ctx)
	case opClose:
		return reply{}, s.token.Close()
	}
	return reply{}, fmt.Errorf("child: %w: operation: expected 1 to %d, found %d", hsm.ErrArgument, opOpen, q.Op)
}

// find looks a key up or generates it.
func (s *server) find(ctx context.Context, q request) (reply, error) {
	switch q.Op {
	case opIdentity, opCreateIdentity:
		find := s.token.Identity
		if q.Op == opCreateIdentity {
			find = s.token.CreateIdentity
		}
		k, err := find(ctx, q.Label)
		if err != nil {
			return reply{}, err
		}
		return s.found(opIdentity, q, k, k.Ed25519())
	case opSealer, opCreateSealer:
		find := s.token.Sealer
		if q.Op == opCreateSealer {
			find = s.token.CreateSealer
		}
		k, err := find(ctx, q.Label)
		if err != nil {
			return reply{}, err
		}
		return s.found(opSealer, q, k, nil)
	default:
		find := s.token.ECDSA
		if q.Op == opCreateECDSA {
			find = s.token.CreateECDSA
		}
		k, err := find(ctx, q.Label, classOf(q))
		if err != nil {
			return reply{}, err
		}
		public := k.Public()
		return s.found(opECDSA, q, k, public[:])
	}
}

// use signs, seals or opens.
func (s *server) use(ctx context.Context, q request) ([]byte, error) {
	switch q.Op {
	case opSignMessage:
		k, err := handled[hsm.Identity](s, q.Key)
		if err != nil {
			return nil, err
		}
		return k.SignContext(ctx, q.Data)
	case opSignDigest:
		k, err := handled[hsm.ECDSA](s, q.Key)
		if err != nil {
			return nil, err
		}
		if len(q.Data) != 32 {
			return nil, argument("digest", "32 bytes", len(q.Data))
		}
		signature, err := k.Sign(ctx, [32]byte(q.Data), q.PIN)
		return signature[:], err
	}
	k, err := handled[hsm.Sealer](s, q.Key)
	if err != nil {
		return nil, err
	}
	if q.Op == opSeal {
		return k.Seal(ctx, q.Data, q.AAD)
	}
	return k.Open(ctx, q.Data, q.AAD)
}

// inventory answers with the keys from a number on, out of one reading of the token.
func (s *server) inventory(ctx context.Context, from uint64) (reply, error) {
	if from == 0 {
		all, err := s.token.Inventory(ctx)
		if err != nil {
			return reply{}, err
		}
		s.mu.Lock()
		s.listed = all
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.listed
	if from > uint64(len(all.Keys)) {
		return reply{}, argument("inventory", fmt.Sprintf("a key below %d", len(all.Keys)), from)
	}
	keys := all.Keys[from:]
	more := len(keys) > maxListed
	if more {
		keys = keys[:maxListed]
	}
	return reply{Token: &inventory{Info: all.Info, Library: all.Library, Sessions: all.Sessions, Keys: keys}, More: more}, nil
}
