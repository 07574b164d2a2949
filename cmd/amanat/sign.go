package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// signed is a report with the signature over its compact JSON: its very bytes
// but for the white space between them.
type signed struct {
	Report    json.RawMessage `json:"report"`
	PublicKey string          `json:"publicKey"`
	Signature string          `json:"signature"`
}

// sign makes a signed report of v.
func sign(key ed25519.PrivateKey, v any) (signed, error) {
	body, err := compactJSON(v)
	if err != nil {
		return signed{}, err
	}
	return signed{Report: body, PublicKey: publicHalf(key),
		Signature: base64.StdEncoding.EncodeToString(ed25519.Sign(key, body))}, nil
}

// compactJSON returns v's JSON without white space, and with letters as they are.
func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

var (
	errChanged  = errors.New("changed: the signature does not fit the report")
	errOtherKey = errors.New("other key: the report is signed by somebody else")
)

// parseSigned reads a file as it was printed, however indented. A file that
// says a thing twice, or more than a signed report does, would show a reader
// something else than what is signed: it counts as changed.
func parseSigned(file []byte) (signed, error) {
	var s signed
	var there bytes.Buffer
	if json.Compact(&there, file) != nil || json.Unmarshal(file, &s) != nil {
		return s, errChanged
	}
	again, err := compactJSON(s)
	if err != nil || !bytes.Equal(again, there.Bytes()) {
		return s, errChanged
	}
	return s, nil
}

// check says whether the report is as the owner of the key signed it.
func (s signed) check(owner string) error {
	key, err := base64.StdEncoding.Strict().DecodeString(s.PublicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return errChanged
	}
	var body bytes.Buffer
	signature, err := base64.StdEncoding.Strict().DecodeString(s.Signature)
	if err != nil || json.Compact(&body, s.Report) != nil || !ed25519.Verify(key, body.Bytes(), signature) {
		return errChanged
	}
	if s.PublicKey != owner {
		return errOtherKey
	}
	return nil
}

func publicHalf(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

const keyBlock = "PRIVATE KEY" // PKCS #8

// readKey reads the key that signs reports.
func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read it, so whoever signs with it may be anybody: chmod 600, or remove it for a new key", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return nil, fmt.Errorf("%s: holds no private key in PEM", path)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: holds no Ed25519 key", path)
	}
	return key, nil
}

// reportKey reads the key that signs reports, and makes one when there is none.
func reportKey(path string) (key ed25519.PrivateKey, made bool, err error) {
	key, err = readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, false, err
	}
	return key, true, writeKey(path, key)
}

// writeKey writes a key where none is.
func writeKey(path string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: keyBlock, Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		os.Remove(path) // half a key would be in the way of a whole one
	}
	return err
}
