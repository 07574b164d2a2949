package cutover_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/money"
)

func everyKind() cutover.Kinds {
	return slices.Concat(user.Kinds, marketplace.Kinds, payment.Kinds, cutovertest.Definition.Kinds)
}

func filled(k cutover.Kind, seed int) cutover.Record {
	r := k.New()
	cutovertest.Fill(r, seed)
	r.RecordMeta().Rev = int64(seed) + 1
	return r
}

// change is one way to make a record another one.
type change struct {
	path string
	make func()
}

// changes gives, for each leaf of a record and each list, map and optional
// group, ways to change it and nothing else.
func changes(v reflect.Value, fields []shape.Field, path string) []change {
	var out []change
	for _, f := range fields {
		out = append(out, changesOf(v.FieldByIndex(f.Index), f, path+f.Name)...)
	}
	return out
}

func changesOf(v reflect.Value, f shape.Field, path string) []change {
	var out []change
	add := func(how string, do func()) { out = append(out, change{path + how, do}) }
	if f.Pointer {
		pointer := v
		add(" is absent", func() { pointer.SetZero() })
		if f.Class != shape.Group {
			add(" points to zero", func() { pointer.Set(reflect.New(f.Type)) })
		}
		v = v.Elem()
	} else if f.Class != shape.Group {
		add(" is zero", func() { v.SetZero() })
	}
	switch f.Class {
	case shape.Group:
		out = append(out, changes(v, f.Fields, path+".")...)
	case shape.List:
		add(" is shorter", func() { v.Set(v.Slice(0, v.Len()-1)) })
		add(" is longer", func() { v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem()))) })
		add(" is the other way round", func() { reflect.Swapper(v.Interface())(0, 1) })
		for i := range v.Len() {
			out = append(out, changesOf(v.Index(i), *f.Elem, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case shape.Map:
		add(" has another key", func() { v.SetMapIndex(reflect.ValueOf("zz"), reflect.ValueOf("")) })
		for _, k := range v.MapKeys() {
			add("."+k.String()+" is empty", func() { v.SetMapIndex(k, reflect.ValueOf("")) })
			add("."+k.String()+" is gone", func() { v.SetMapIndex(k, reflect.Value{}) })
		}
	case shape.Str:
		add(" has a space more", func() { v.SetString(v.String() + " ") })
	case shape.Bool:
		add(" is the opposite", func() { v.SetBool(!v.Bool()) })
	case shape.Int:
		add(" is one more", func() { v.SetInt(v.Int() + 1) })
	case shape.Bytes:
		add(" has another byte", func() { v.SetBytes(append(bytes.Clone(v.Bytes()), 0)) })
	case shape.Extra:
		add(" is another", func() { v.SetBytes([]byte(`{"zz":null}`)) })
	case shape.Time:
		add(" is a millisecond later", func() { v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Millisecond))) })
	case shape.Text:
		add(" is a little more", func() { v.Set(reflect.ValueOf(more(v.Interface()))) })
	}
	return out
}

func more(x any) any {
	switch x := x.(type) {
	case cutover.ID:
		x[11]++
		return x
	case money.Amount:
		return x.Add(money.MustAmount("0.00000000000000000000000000000000000001"))
	case money.Units:
		return x.Add(money.UnitsOf(1))
	case cutovertest.Decimal:
		return cutovertest.MustDecimal(otherEnd(x.String()))
	case cutovertest.Whole:
		return cutovertest.MustWhole(otherEnd(x.String()))
	}
	panic(fmt.Sprintf("there is no more of a %T", x))
}

// otherEnd returns a number another last digit.
func otherEnd(number string) string {
	last := number[len(number)-1]
	return number[:len(number)-1] + string('0'+(last-'0'+1)%10)
}

func TestAnyChangeOfAFieldChangesTheCanonicalForm(t *testing.T) {
	t.Parallel()
	for _, k := range everyKind() {
		r := filled(k, 3)
		n := len(changes(reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)), ""))
		want := cutover.Canonical(r)
		for i := range n {
			r := filled(k, 3)
			c := changes(reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)), "")[i]
			c.make()
			got := cutover.Canonical(r)
			diffs := cutover.DiffRecords(want, got)
			if slices.Equal(got, want) || len(diffs) == 0 || sumOf(got) == sumOf(want) {
				t.Errorf("%s: that %s makes no difference", k.Name, c.path)
			}
			root, _, _ := strings.Cut(c.path, " ")
			for _, d := range diffs {
				if !strings.HasPrefix(d.Path, strings.TrimSuffix(strings.Split(root, "[")[0], ".")) {
					t.Errorf("%s: that %s makes a difference in %s", k.Name, c.path, d.Path)
				}
			}
		}
	}
}

func TestALeafHasAPathOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, k := range everyKind() {
		leaves := cutover.Canonical(filled(k, 1))
		if !slices.IsSortedFunc(leaves, func(a, b cutover.FieldValue) int { return strings.Compare(a.Path, b.Path) }) {
			t.Errorf("%s: the leaves are not sorted", k.Name)
		}
		for i := 1; i < len(leaves); i++ {
			if leaves[i].Path == leaves[i-1].Path {
				t.Errorf("%s: two leaves are called %s", k.Name, leaves[i].Path)
			}
		}
	}
}

// TestNamesAndColumnsAreUnique: no two fields of a record, groups resolved,
// have the same name in a document or the same column in a table.
func TestNamesAndColumnsAreUnique(t *testing.T) {
	t.Parallel()
	tables := map[string]string{}
	for _, k := range everyKind() {
		wantUnique(t, k.Name, shape.Of(reflect.TypeOf(k.New())), "", map[string]bool{}, tables)
	}
}

func wantUnique(t *testing.T, owner string, fields []shape.Field, prefix string, columns map[string]bool, tables map[string]string) {
	t.Helper()
	names := map[string]bool{}
	for _, f := range fields {
		column := prefix + f.Column
		switch {
		case names[f.Name]:
			t.Errorf("%s: two fields are called %s", owner, f.Name)
		case columns[column]:
			t.Errorf("%s: two fields have the column %s", owner, column)
		case f.Table != "" && tables[f.Table] != "":
			t.Errorf("%s and %s: two lists have the table %s", owner, tables[f.Table], f.Table)
		case strings.HasPrefix(f.Name, "_") && f.Name != "_id":
			t.Errorf("%s: the name %s belongs to the stores", owner, f.Name)
		}
		names[f.Name], columns[column] = true, true
		if f.Table != "" {
			tables[f.Table] = owner
		}
		switch {
		case f.Class == shape.Group:
			wantUnique(t, owner, f.Fields, column+"_", columns, tables)
		case f.Class == shape.List && f.Elem.Class == shape.Group:
			wantUnique(t, owner+"."+f.Name, f.Elem.Fields, "", map[string]bool{}, tables)
		}
	}
}

func sumOf(records ...[]cutover.FieldValue) string {
	var s cutover.Sum
	for _, r := range records {
		s.Add(r)
	}
	return s.String()
}

func TestASumDoesNotKnowTheOrderButEveryRecord(t *testing.T) {
	t.Parallel()
	kinds := everyKind()
	rapid.Check(t, func(t *rapid.T) {
		seeds := rapid.SliceOfN(rapid.IntRange(0, 1000), 1, 12).Draw(t, "seeds")
		var records [][]cutover.FieldValue
		for _, seed := range seeds {
			records = append(records, cutover.Canonical(filled(kinds[seed%len(kinds)], seed)))
		}
		want := sumOf(records...)
		if shuffled := rapid.Permutation(records).Draw(t, "order"); sumOf(shuffled...) != want {
			t.Fatal("another order gave another sum")
		}
		i := rapid.IntRange(0, len(records)-1).Draw(t, "which")
		if sumOf(slices.Delete(slices.Clone(records), i, i+1)...) == want {
			t.Fatal("without a record the sum is the same")
		}
		if sumOf(append(slices.Clone(records), records[i])...) == want {
			t.Fatal("with a record twice the sum is the same")
		}
	})
}

// TestASumKeepsLeavesApart moves text between paths and values.
func TestASumKeepsLeavesApart(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`[a=:;0-9]{0,4}`)
	leaf := rapid.Custom(func(t *rapid.T) cutover.FieldValue {
		return cutover.FieldValue{Path: text.Draw(t, "path"), Value: text.Draw(t, "value")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(leaf, 0, 3).Draw(t, "a"), rapid.SliceOfN(leaf, 0, 3).Draw(t, "b")
		if (sumOf(a) == sumOf(b)) != slices.Equal(a, b) {
			t.Fatalf("%v and %v have the sums %s and %s", a, b, sumOf(a), sumOf(b))
		}
	})
}

func TestIDsFollowTheirSecondAndAreNeverTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.Int64Range(0, 1<<32-1)
		a, b := seconds.Draw(t, "a"), seconds.Draw(t, "b")
		x, y := cutover.NewIDAt(time.Unix(a, 999_999_999)), cutover.NewIDAt(time.Unix(b, 0))
		if x == y || x.Time().Unix() != a || y.Time().Unix() != b {
			t.Fatalf("%d and %d gave %s and %s", a, b, x, y)
		}
		if order := bytes.Compare(x[:], y[:]); a != b && (order < 0) != (a < b) || strings.Compare(x.String(), y.String()) != order {
			t.Fatalf("%s of %d and %s of %d are not in order", x, a, y, b)
		}
		again, err := cutover.ParseID(strings.ToUpper(x.String()))
		if err != nil || again != x {
			t.Fatalf("%s is read again as %s, %v", x, again, err)
		}
	})
	seen := map[cutover.ID]bool{}
	at := time.Now()
	for range 10_000 {
		seen[cutover.NewIDAt(at)] = true
	}
	if len(seen) != 10_000 {
		t.Errorf("10000 IDs of one second are %d different ones", len(seen))
	}
}
