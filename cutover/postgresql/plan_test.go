package postgresql_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/storetest"
)

// asked collects the statements that read, and how many parameters each has.
type asked struct {
	mu  sync.Mutex
	sql map[string]int
}

func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (a *asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (a *asked) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (a *asked) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}
func (a *asked) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.HasPrefix(d.SQL, "SELECT") {
		a.sql[d.SQL] = len(d.Args)
	}
}

// large is more than is worth reading from end to end.
const large = 20_000

// statusOf says how statuses are spread.
var statusOf = map[string]string{
	"payments":          "CASE WHEN i % 10 = 0 THEN 'pending' ELSE 'completed' END",
	"purchase_requests": "(ARRAY['pending', 'active', 'received_offers', 'delivery', 'completed', 'cancelled'])[1 + i % 6]",
	"seller_offers":     "(ARRAY['pending', 'accepted', 'rejected', 'withdrawn'])[1 + i % 4]",
}

// fillTable puts many rows into a table, whatever its columns are.
func fillTable(t *testing.T, db *postgresql.DB, table string) {
	t.Helper()
	columns, err := db.Pool().Query(t.Context(), `SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a
		WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`, table)
	if err != nil {
		t.Fatal(err)
	}
	var names, values []string
	var name, typ string
	_, err = pgx.ForEachRow(columns, []any{&name, &typ}, func() error {
		if v := valueOf(table, name, typ); v != "" {
			names, values = append(names, `"`+name+`"`), append(values, v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := large
	if table == "purchase_request_preferred_sellers" {
		rows /= 10 // most requests are open to all
	}
	execute(t, db, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) AS i",
		table, strings.Join(names, ", "), strings.Join(values, ", "), rows), "ANALYZE "+table)
}

func valueOf(table, column, typ string) string {
	id := func(n string) string { return "lpad(to_hex(" + n + "), 24, '0')" }
	switch {
	case column == "status" && statusOf[table] != "":
		return statusOf[table]
	case slices.Contains([]string{"buyer_id", "seller_id", "user_id", "value"}, column):
		return id("i % 5000")
	case column == "purchase_request_id":
		return id("i / 8")
	case table == "purchase_request_preferred_sellers" && column == "parent_id":
		return id("i * 10")
	case typ == "object_id":
		return id("i")
	}
	return map[string]string{"text": "'v' || i", "bigint": "i", "integer": "0", "numeric": "i", "boolean": "i % 2 = 0",
		"timestamp with time zone": "now() + i * interval '1 second'"}[typ]
}

// freely drops the rules of tables that are filled with what no record is.
func freely(t *testing.T, db *postgresql.DB) {
	t.Helper()
	execute(t, db, `DO $$ DECLARE r record; BEGIN
		FOR r IN SELECT conrelid::regclass AS tab, conname FROM pg_constraint
			WHERE connamespace = current_schema()::regnamespace AND contype IN ('c', 'f') AND conrelid <> 0 LOOP
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.tab, r.conname);
		END LOOP; END $$`, "DROP TRIGGER funds_ledger_postings_balance ON funds_ledger_postings")
}

// wholly are queries that read a whole table, which is small: no index helps.
var wholly = []string{"categories", "trezor_accounts"}

// queries asks all that the domains ask with a condition.
func queries(db *postgresql.DB) map[string]func(context.Context) error {
	id := cutover.MustID(fmt.Sprintf("%024x", 17))
	all := map[string]func(context.Context) error{}
	maps.Copy(all, viewsOf("marketplace", db.Side(marketplace.Definition), map[string]func(context.Context, cutover.Tx) error{
		"Category": func(ctx context.Context, tx cutover.Tx) error {
			return only(cutover.Get[marketplace.Category](ctx, tx, id))
		},
		"Request": func(ctx context.Context, tx cutover.Tx) error {
			return only(cutover.Get[marketplace.PurchaseRequest](ctx, tx, id))
		},
		"Requests": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Requests(ctx, tx, marketplace.RequestFilter{}, id, 20))
		},
		"Requests, status": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Requests(ctx, tx, marketplace.RequestFilter{Status: marketplace.StatusActive}, id, 20))
		},
		"Requests, category": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Requests(ctx, tx, marketplace.RequestFilter{CategoryID: id}, id, 20))
		},
		"Requests, party": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Requests(ctx, tx, marketplace.RequestFilter{Party: id}, cutover.ID{}, 20))
		},
		"Requests, party, page": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Requests(ctx, tx, marketplace.RequestFilter{Party: id}, id, 20))
		},
		"Requests, open": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Requests(ctx, tx, marketplace.RequestFilter{OpenTo: id}, cutover.ID{}, 20))
		},
		"Requests, both": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Requests(ctx, tx, marketplace.RequestFilter{Party: id, OpenTo: id}, id, 20))
		},
		"Offer": func(ctx context.Context, tx cutover.Tx) error {
			return only(cutover.Get[marketplace.SellerOffer](ctx, tx, id))
		},
		"Offers, request": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Offers(ctx, tx, marketplace.OfferFilter{RequestID: id}, id, 20))
		},
		"Offers, seller": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Offers(ctx, tx, marketplace.OfferFilter{SellerID: id}, id, 20))
		},
		"Offers, status": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.Offers(ctx, tx, marketplace.OfferFilter{SellerID: id, Status: marketplace.OfferPending}, id, 20))
		},
		"ExpiredOffers": func(ctx context.Context, tx cutover.Tx) error {
			return only(marketplace.ExpiredOffers(ctx, tx, time.Now(), id, 100))
		},
		"Events": func(ctx context.Context, tx cutover.Tx) error {
			return only(cutover.Find[event.Event](ctx, tx, query.All().Limit(20)))
		},
		"Events, waiting": func(ctx context.Context, tx cutover.Tx) error { return only(event.Waiting(ctx, tx, 100)) },
		"Events, parked":  func(ctx context.Context, tx cutover.Tx) error { return only(event.Parked(ctx, tx, 100)) },
		"Handled, old": func(ctx context.Context, tx cutover.Tx) error {
			return only(event.HandledBefore(ctx, tx, time.Now(), 100))
		},
		"Handled": func(ctx context.Context, tx cutover.Tx) error { return only(cutover.Get[event.Handled](ctx, tx, id)) },
	}))
	maps.Copy(all, viewsOf("payment", db.Side(payment.Definition), map[string]func(context.Context, cutover.Tx) error{
		"Payment": func(ctx context.Context, tx cutover.Tx) error { return only(cutover.Get[payment.Payment](ctx, tx, id)) },
		"PaymentByReference": func(ctx context.Context, tx cutover.Tx) error {
			return only(payment.PaymentByReference(ctx, tx, "v17"))
		},
		"PaymentsOfRequest": func(ctx context.Context, tx cutover.Tx) error { return only(payment.PaymentsOfRequest(ctx, tx, id)) },
		"Payments": func(ctx context.Context, tx cutover.Tx) error {
			return only(payment.Payments(ctx, tx, cutover.ID{}, 20))
		},
		"Payments, page": func(ctx context.Context, tx cutover.Tx) error { return only(payment.Payments(ctx, tx, id, 20)) },
		"PaymentsOfUser": func(ctx context.Context, tx cutover.Tx) error {
			return only(payment.PaymentsOfUser(ctx, tx, id, cutover.ID{}, 20))
		},
		"PaymentsOfUser, page": func(ctx context.Context, tx cutover.Tx) error {
			return only(payment.PaymentsOfUser(ctx, tx, id, id, 20))
		},
		"StalePayments": func(ctx context.Context, tx cutover.Tx) error {
			return only(payment.StalePayments(ctx, tx, time.Now(), 100))
		},
		"UnwatchedPayments": func(ctx context.Context, tx cutover.Tx) error { return only(payment.UnwatchedPayments(ctx, tx, 100)) },
		"Quote":             func(ctx context.Context, tx cutover.Tx) error { return only(payment.QuoteOf(ctx, tx, id)) },
		"DestinationByAddress": func(ctx context.Context, tx cutover.Tx) error {
			return only(payment.DestinationByAddress(ctx, tx, "v17"))
		},
		"LedgerEntry":     func(ctx context.Context, tx cutover.Tx) error { return only(payment.LedgerEntry(ctx, tx, "v17")) },
		"LedgerOfPayment": func(ctx context.Context, tx cutover.Tx) error { return only(payment.LedgerOfPayment(ctx, tx, id)) },
		"Hold":            func(ctx context.Context, tx cutover.Tx) error { return only(cutover.Get[payment.Hold](ctx, tx, id)) },
		"OpenHolds":       func(ctx context.Context, tx cutover.Tx) error { return only(payment.OpenHolds(ctx, tx, id)) },
		"Delivery":        func(ctx context.Context, tx cutover.Tx) error { return only(payment.DeliveryByKey(ctx, tx, "v17")) },
	}))
	maps.Copy(all, viewsOf("user", db.Side(user.Definition), map[string]func(context.Context, cutover.Tx) error{
		"User":               func(ctx context.Context, tx cutover.Tx) error { return only(cutover.Get[user.User](ctx, tx, id)) },
		"UserByEmail":        func(ctx context.Context, tx cutover.Tx) error { return only(user.UserByEmail(ctx, tx, "v17")) },
		"UserByReferralCode": func(ctx context.Context, tx cutover.Tx) error { return only(user.UserByReferralCode(ctx, tx, "v17")) },
		"Users": func(ctx context.Context, tx cutover.Tx) error {
			return only(user.Users(ctx, tx, user.Filter{}, id, 20))
		},
		"Users, role": func(ctx context.Context, tx cutover.Tx) error {
			return only(user.Users(ctx, tx, user.Filter{Role: user.Buyer}, id, 20))
		},
		"Address":             func(ctx context.Context, tx cutover.Tx) error { return only(cutover.Get[user.Address](ctx, tx, id)) },
		"Addresses":           func(ctx context.Context, tx cutover.Tx) error { return only(user.Addresses(ctx, tx, id)) },
		"VerificationByEmail": func(ctx context.Context, tx cutover.Tx) error { return only(user.VerificationByEmail(ctx, tx, "v17")) },
	}))
	return all
}

func viewsOf(domain string, side cutover.Side, asks map[string]func(context.Context, cutover.Tx) error) map[string]func(context.Context) error {
	out := map[string]func(context.Context) error{}
	for name, ask := range asks {
		out[domain+" "+name] = func(ctx context.Context) error { return side.View(ctx, ask) }
	}
	return out
}

// only leaves the error of a query. What is found may be no record of its kind.
func only[T any](_ T, err error) error {
	if fault.Is(err, fault.NotFound) || err != nil && strings.Contains(err.Error(), "a stored record cannot be read") {
		return nil
	}
	return err
}

var seqScan = regexp.MustCompile(`Seq Scan on (\w+)`)

// asking is how often each is asked on one connection.
const asking = 3

// A statement is planned once for all arguments, and that plan reads no large
// table from end to end.
func TestQueries_ArePlannedOnceAndGoByAnIndex(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	freely(t, db)
	for _, d := range domain.Definitions() {
		for _, table := range postgresql.TableNames(d) {
			if !slices.Contains(wholly, table) {
				fillTable(t, db, table)
			}
		}
	}
	seen := &asked{sql: map[string]int{}}
	one := postgresql.Reopen(t, db, func(c *pgxpool.Config) {
		c.MaxConns = 1
		c.ConnConfig.Tracer = seen
	})
	for name, query := range queries(one) {
		clear(seen.sql)
		for range asking {
			if err := query(t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for sql, args := range seen.sql {
			checkPlan(t, one, name, sql, args)
		}
	}
}

func checkPlan(t *testing.T, db *postgresql.DB, name, sql string, args int) {
	t.Helper()
	conn, err := db.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	var custom, generic int
	var prepared string
	if err := conn.QueryRow(t.Context(), "SELECT name, custom_plans, generic_plans FROM pg_prepared_statements WHERE statement = $1", sql).
		Scan(&prepared, &custom, &generic); err != nil {
		t.Fatal(err)
	}
	if custom > 0 || generic < asking {
		t.Errorf("%s was planned %d times for its arguments, and asked %d times by one plan", name, custom, generic)
	}
	explain := fmt.Sprintf(`EXPLAIN EXECUTE "%s"`, prepared)
	if args > 0 {
		explain += "(" + strings.Repeat("NULL, ", args-1) + "NULL)"
	}
	rows, err := conn.Query(t.Context(), explain, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(lines, "\n")
	if m := seqScan.FindStringSubmatch(plan); m != nil && !slices.Contains(wholly, m[1]) {
		t.Errorf("%s reads all of %s:\n%s", name, m[1], plan)
	}
}
