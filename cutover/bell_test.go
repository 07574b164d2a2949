package cutover_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

type gong struct{ cutover.Meta }

type drum struct{ cutover.Meta }

func TestABellRingsForWhatWasPut(t *testing.T) {
	kinds := cutover.Kinds{
		{Name: "gong", Type: reflect.TypeFor[gong](), Table: "gongs", Collection: "gongs"},
		{Name: "drum", Type: reflect.TypeFor[drum](), Table: "drums", Collection: "drums"},
	}
	d := cutover.Solo(cutover.Spec{Source: memdb.New("memory", kinds), Definition: cutover.Definition{Name: "band", Kinds: kinds}})
	bell := d.Bell("gong")
	rings := func(want bool, failure error, records ...cutover.Record) {
		t.Helper()
		_, err := cutover.Update(t.Context(), d, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
			for _, r := range records {
				if err := tx.Put(ctx, r); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, failure
		})
		if !errors.Is(err, failure) {
			t.Fatal(err)
		}
		got := false
		select {
		case <-bell:
			got = true
		default:
		}
		if got != want {
			t.Errorf("after putting %d records and %v it rang: %v", len(records), failure, got)
		}
	}
	rings(true, nil, &gong{}, &gong{}, &drum{})
	rings(false, nil)
	rings(false, nil, &drum{})
	rings(false, errors.New("not committed"), &gong{})
}
