package user

import "crypto/rand"

// referralAlphabet has no characters that are mistaken for one another. Its 32
// letters divide a byte evenly, so none comes up more often.
const referralAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// referralLength gives 40 bits; that they are unique, the databases see to.
const referralLength = 8

func newReferralCode() string {
	b := make([]byte, referralLength)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	for i := range b {
		b[i] = referralAlphabet[int(b[i])%len(referralAlphabet)]
	}
	return string(b)
}
