package pkcs11_test

import (
	"sync/atomic"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// faulty passes calls to the real module, except where a test breaks them.
type faulty struct {
	pkcs11.Cryptoki
	initialize func() error
	final      func() error
	tokenInfo  func(p11.TokenInfo) p11.TokenInfo
	login      func(real error) error
	sign       func(s p11.SessionHandle, signature []byte, err error) ([]byte, error)
	encrypt    func(ciphertext []byte, err error) ([]byte, error)
	attributes func(a []*p11.Attribute)
	asked      func(a []*p11.Attribute) error // refuses to read them
	session    func() error                   // refuses to open a session
	mechanism  func(mechanism uint) error     // refuses to begin an operation

	inits, logins, signs, finals atomic.Int32
	closed                       chan p11.SessionHandle
}

func (f *faulty) Initialize(o ...p11.InitializeOption) error {
	f.inits.Add(1)
	if f.initialize != nil {
		return f.initialize()
	}
	return f.Cryptoki.Initialize(o...)
}

func (f *faulty) Finalize() error {
	f.finals.Add(1)
	if f.final != nil {
		return f.final()
	}
	return f.Cryptoki.Finalize()
}

func (f *faulty) GetTokenInfo(slot uint) (p11.TokenInfo, error) {
	info, err := f.Cryptoki.GetTokenInfo(slot)
	if f.tokenInfo != nil {
		info = f.tokenInfo(info)
	}
	return info, err
}

func (f *faulty) Login(s p11.SessionHandle, user uint, pin string) error {
	f.logins.Add(1)
	err := f.Cryptoki.Login(s, user, pin)
	if f.login != nil {
		return f.login(err)
	}
	return err
}

func (f *faulty) Sign(s p11.SessionHandle, message []byte) ([]byte, error) {
	f.signs.Add(1)
	signature, err := f.Cryptoki.Sign(s, message)
	if f.sign != nil {
		return f.sign(s, signature, err)
	}
	return signature, err
}

func (f *faulty) Encrypt(s p11.SessionHandle, plaintext []byte) ([]byte, error) {
	ciphertext, err := f.Cryptoki.Encrypt(s, plaintext)
	if f.encrypt != nil {
		return f.encrypt(ciphertext, err)
	}
	return ciphertext, err
}

func (f *faulty) CloseSession(s p11.SessionHandle) error {
	err := f.Cryptoki.CloseSession(s)
	if f.closed != nil {
		f.closed <- s
	}
	return err
}

func (f *faulty) GetAttributeValue(s p11.SessionHandle, o p11.ObjectHandle, a []*p11.Attribute) ([]*p11.Attribute, error) {
	if f.asked != nil {
		if err := f.asked(a); err != nil {
			return nil, err
		}
	}
	got, err := f.Cryptoki.GetAttributeValue(s, o, a)
	if f.attributes != nil {
		f.attributes(got)
	}
	return got, err
}

func (f *faulty) OpenSession(slot, flags uint) (p11.SessionHandle, error) {
	if f.session != nil {
		if err := f.session(); err != nil {
			return 0, err
		}
	}
	return f.Cryptoki.OpenSession(slot, flags)
}

func (f *faulty) EncryptInit(s p11.SessionHandle, m []*p11.Mechanism, key p11.ObjectHandle) error {
	if err := f.refuses(m); err != nil {
		return err
	}
	return f.Cryptoki.EncryptInit(s, m, key)
}

func (f *faulty) SignInit(s p11.SessionHandle, m []*p11.Mechanism, key p11.ObjectHandle) error {
	if err := f.refuses(m); err != nil {
		return err
	}
	return f.Cryptoki.SignInit(s, m, key)
}

func (f *faulty) GenerateKeyPair(s p11.SessionHandle, m []*p11.Mechanism, public, private []*p11.Attribute) (p11.ObjectHandle, p11.ObjectHandle, error) {
	if err := f.refuses(m); err != nil {
		return 0, 0, err
	}
	return f.Cryptoki.GenerateKeyPair(s, m, public, private)
}

func (f *faulty) refuses(m []*p11.Mechanism) error {
	if f.mechanism == nil {
		return nil
	}
	return f.mechanism(m[0].Mechanism)
}

// Real is the module behind the faults.
func (f *faulty) Real() pkcs11.Cryptoki { return f.Cryptoki }

func (f *faulty) modules() *pkcs11.Modules {
	return pkcs11.NewModules(func(c pkcs11.Cryptoki) pkcs11.Cryptoki { f.Cryptoki = c; return f })
}
