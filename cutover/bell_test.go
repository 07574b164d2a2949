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
	d := must[*cutover.Domain](t)(cutover.Solo(cutover.Spec{Source: memdb.New("memory", kinds), Definition: cutover.Definition{Name: "band", Kinds: kinds}}))
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

func TestAnApplicationsRoleIsHeldByOneProcess(t *testing.T) {
	plane := memdb.NewControl()
	one, other := cutover.NewEngine(cutover.Options{Control: plane}), cutover.NewEngine(cutover.Options{Control: plane})
	nothing := func(context.Context) error { return nil }
	led, err := one.Lead(t.Context(), "r", func(ctx context.Context) error {
		if led, err := other.Lead(ctx, "r", nothing); led || err != nil {
			t.Errorf("the other led too: %v, %v", led, err)
		}
		led, err := other.Lead(ctx, "s", nothing)
		if !led {
			t.Error("another role was not free")
		}
		return err
	})
	if !led || err != nil {
		t.Errorf("led: %v, %v", led, err)
	}
	if led, err := cutover.NewEngine(cutover.Options{}).Lead(t.Context(), "r", nothing); !led || err != nil {
		t.Errorf("without a control plane: %v, %v", led, err)
	}
}
