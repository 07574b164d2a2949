package payment

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// TrezorAccount is an extended public key, kept on a hardware wallet, from
// which destinations are derived. The newest is the one in use.
type TrezorAccount struct {
	cutover.Meta
	// XPub tells all addresses of the wallet: it does not leave the server.
	XPub        string `json:"-" field:"xpub,null"`
	Fingerprint string `json:"fingerprint"`
	BasePath    string `json:"basePath"`
	// RegistrationAddress is the wallet's address at index 0, for the operator
	// to compare with the device. No payment gets it.
	RegistrationAddress string `json:"registrationAddress"`
	NextAddressIndex    int64  `json:"nextAddressIndex"`
	DeviceLabel         string `json:"deviceLabel,omitempty"`
}

// TrezorDraft is what an admin says of a key to register.
type TrezorDraft struct {
	XPub                string `json:"xpub" minLength:"1" maxLength:"200" doc:"Extended public key at m/44'/60'/0'"`
	RegistrationAddress string `json:"registrationAddress,omitempty" maxLength:"42" doc:"The wallet's first address, to be sure"`
	DeviceLabel         string `json:"deviceLabel,omitempty" maxLength:"100"`
}

// firstPaymentIndex leaves index 0 to the registration address.
const firstPaymentIndex = 1

// NewTrezorAccount reads an extended public key. The registration address, when
// there is one, must be the wallet's at index 0. Errors: fault.Invalid.
func NewTrezorAccount(d TrezorDraft) (TrezorAccount, error) {
	if err := limit.Check(d); err != nil {
		return TrezorAccount{}, err
	}
	account, err := chain.ParseAccount(d.XPub)
	if err != nil {
		return TrezorAccount{}, fault.Field("xpub", "%s", err)
	}
	first, _, err := account.Address(0)
	if err != nil {
		return TrezorAccount{}, fault.Field("xpub", "%s", err)
	}
	if d.RegistrationAddress != "" && !chain.SameAddress(d.RegistrationAddress, first) {
		return TrezorAccount{}, fault.Field("registrationAddress", "this key's first address is %s", first)
	}
	return TrezorAccount{
		XPub: account.XPub(), Fingerprint: account.Fingerprint(), BasePath: chain.BasePath,
		RegistrationAddress: first, NextAddressIndex: firstPaymentIndex, DeviceLabel: d.DeviceLabel,
	}, nil
}

// Derive returns the next destination and moves the counter past it.
func (a *TrezorAccount) Derive(payment cutover.ID, chainID int64) (Destination, error) {
	account, err := chain.ParseAccount(a.XPub)
	if err != nil {
		return Destination{}, fault.Wrap(err, fault.Unavailable, "payments are not possible now: the registered wallet key does not work")
	}
	index := max(a.NextAddressIndex, firstPaymentIndex)
	address, path, err := account.Address(index)
	if err != nil {
		return Destination{}, fault.Wrap(err, fault.Unavailable, "payments are not possible now: no address could be derived")
	}
	a.NextAddressIndex = index + 1
	return Destination{
		PaymentID: payment, Address: address, ChainID: chainID, DerivationPath: path,
		DerivationIndex: index, TrezorAccountID: a.ID, Status: DestinationActive,
	}, nil
}

// RegisterTrezor registers an extended public key; from now on addresses come
// from it. Only admins may. Errors: fault.Invalid for a key that is private,
// malformed or from another path; fault.Conflict for one that is registered.
func (s *Service) RegisterTrezor(ctx context.Context, who web.Principal, d TrezorDraft) (TrezorAccount, error) {
	if err := admins.Admit(who); err != nil {
		return TrezorAccount{}, err
	}
	account, err := NewTrezorAccount(d)
	if err != nil {
		return TrezorAccount{}, err
	}
	account.ID = cutover.NewID()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (TrezorAccount, error) {
		known, err := TrezorAccounts(ctx, tx)
		if err != nil {
			return TrezorAccount{}, err
		}
		for _, k := range known {
			if k.RegistrationAddress == account.RegistrationAddress || k.XPub == account.XPub {
				return TrezorAccount{}, fault.New(fault.Conflict, "this wallet key is registered already")
			}
		}
		a := account
		err = tx.Put(ctx, &a)
		return a, err
	})
}

// TrezorAccounts lists the registered keys, the newest first. Only admins may.
func (s *Service) TrezorAccounts(ctx context.Context, who web.Principal) ([]TrezorAccount, error) {
	if err := admins.Admit(who); err != nil {
		return nil, err
	}
	return cutover.View(ctx, s.db, QueryTrezorList, func(ctx context.Context, tx cutover.Tx) ([]TrezorAccount, error) {
		return TrezorAccounts(ctx, tx)
	})
}
