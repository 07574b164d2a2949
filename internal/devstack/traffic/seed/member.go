package seed

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/crypto/argon2"

	"github.com/amanat-dev/amanat/internal/devstack/traffic"
)

// Password is what the cast signs in with.
const Password = "Demo-Password-1"

const castSize = 8 // sellers, and as many buyers, with a known password

// hash returns the password's argon2id hash in its usual notation. It is weaker
// than what the product makes, so that many sign-ins cost little.
func hash() string {
	const memory, passes, lanes = 8 * 1024, 1, 1
	salt := []byte("the demo's salt.")
	key := argon2.IDKey([]byte(Password), salt, passes, memory, lanes, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes, b64(salt), b64(key))
}

func (w *world) addUsers() {
	secret := hash()
	w.cast.Admin = traffic.Credentials{Email: "admin@demo.example", Password: Password}
	w.addUser("admin@demo.example", "admin", secret, false)
	for i := range castSize {
		seller, buyer := fmt.Sprintf("seller%d@demo.example", i), fmt.Sprintf("buyer%d@demo.example", i)
		w.cast.Sellers = append(w.cast.Sellers, traffic.Credentials{Email: seller, Password: Password})
		w.cast.Buyers = append(w.cast.Buyers, traffic.Credentials{Email: buyer, Password: Password})
		w.castSellers = append(w.castSellers, w.addUser(seller, "seller", secret, false))
		w.castBuyers = append(w.castBuyers, w.addUser(buyer, "buyer", secret, false))
	}
	for i := len(w.documents["users"]); i < w.o.Users; i++ {
		role := "buyer"
		if i%3 == 0 {
			role = "seller"
		}
		w.addUser(fmt.Sprintf("member%d@demo.example", i), role, secret, w.legacy())
	}
	w.buyers = append(w.buyers, w.castBuyers...)
	w.sellers = append(w.sellers, w.castSellers...)
}

var (
	firstNames = []string{"Ada", "Bahar", "Cem", "Dina", "Emre", "Farah", "Goran", "Hana", "Ivo", "Jasmin", "Kian", "Leyla"}
	lastNames  = []string{"Arslan", "Becker", "Cohen", "Demir", "Ebadi", "Fischer", "Golzar", "Haddad", "Ivanov", "Jansen"}
)

func (w *world) addUser(email, role, secret string, old bool) bson.ObjectID {
	at := w.moment()
	id := w.id(at)
	d := bson.D{
		{Key: "_id", Value: id},
		{Key: "email", Value: email},
		{Key: "passwordHash", Value: secret},
		{Key: "firstName", Value: firstNames[w.random.IntN(len(firstNames))]},
		{Key: "lastName", Value: lastNames[w.random.IntN(len(lastNames))]},
		{Key: "role", Value: role},
		{Key: "isEmailVerified", Value: true},
		{Key: "telegramVerified", Value: false},
		{Key: "loginAttempts", Value: w.count(0, old)},
		{Key: "profile", Value: bson.D{
			{Key: "phone", Value: fmt.Sprintf("+49 30 %06d", w.random.IntN(1_000_000))},
			{Key: "bio", Value: "Member since " + at.Format("January 2006") + "."},
			{Key: "isPublic", Value: w.random.IntN(2) == 0}}},
		{Key: "preferences", Value: bson.D{
			{Key: "language", Value: []string{"en", "fa", "ar"}[w.random.IntN(3)]},
			{Key: "currency", Value: []string{"USD", "EUR", "IRR", "AED"}[w.random.IntN(4)]},
			{Key: "notifications", Value: bson.D{{Key: "email", Value: true}, {Key: "sms", Value: false}, {Key: "push", Value: w.random.IntN(2) == 0}}}}},
		{Key: "wallet", Value: bson.D{
			{Key: "address", Value: w.address()}, {Key: "chain", Value: "bsc"}, {Key: "verifiedAt", Value: at}}},
		{Key: "referralCode", Value: fmt.Sprintf("R%07X", w.sequence)},
	}
	if !old { // to old documents these were what is absent
		d = append(d, bson.E{Key: "status", Value: "active"}, bson.E{Key: "authProvider", Value: "email"})
	}
	w.add("users", w.finish(d, at, old))
	w.addAddresses(id, at, old)
	if role == "seller" {
		w.sellers = append(w.sellers, id)
	} else {
		w.buyers = append(w.buyers, id)
	}
	return id
}

// addAddresses returns some members one or two addresses, the first a primary.
func (w *world) addAddresses(user bson.ObjectID, at time.Time, old bool) {
	for i := range w.random.IntN(3) {
		d := bson.D{
			{Key: "_id", Value: w.id(at)},
			{Key: "userId", Value: w.reference(user, old)},
			{Key: "fullName", Value: "Somebody Demo"},
			{Key: "street", Value: fmt.Sprintf("Long Street %d", 1+w.random.IntN(200))},
			{Key: "city", Value: "Demo City"},
			{Key: "country", Value: "DE"},
			{Key: "postalCode", Value: fmt.Sprintf("%05d", w.random.IntN(100_000))},
			{Key: "isPrimary", Value: i == 0},
		}
		w.add("addresses", w.finish(d, at, old))
	}
}

// count writes a small number; old ones are doubles.
func (w *world) count(n int, old bool) any {
	if old {
		return float64(n)
	}
	return int64(n)
}

// address makes up an address on a chain.
func (w *world) address() string { return "0x" + w.hex(20) }

// hex makes up so many bytes as hex digits.
func (w *world) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.random.Uint32())
	}
	return hex.EncodeToString(b)
}
