package shape_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// A tag that says nothing, or two things at once, is found by the first test.
func TestOf_PanicsOnATagThatIsWrong(t *testing.T) {
	t.Parallel()
	for what, typ := range map[string]reflect.Type{
		"there is no word": reflect.TypeFor[struct {
			A string `json:"a" field:",unique"`
		}](),
		"table= is for lists": reflect.TypeFor[struct {
			A string `json:"a" field:",table=as"`
		}](),
		"a list is in a table or in jsonb": reflect.TypeFor[struct {
			A []string `json:"a" field:",table=as,jsonb"`
		}](),
		"are for texts": reflect.TypeFor[struct {
			A int `json:"a" field:",default=1"`
		}](),
		"is never absent": reflect.TypeFor[struct {
			A string `json:"a" field:",default=x,null"`
		}](),
		"jsonb is for groups, lists and maps": reflect.TypeFor[struct {
			A string `json:"a" field:",jsonb"`
		}](),
		"a value that was= leads to is its name": reflect.TypeFor[struct {
			A string `json:"a" field:",default=new,was=new:old"`
		}](),
		"was= are for texts": reflect.TypeFor[struct {
			A int `json:"a" field:",was=1:2"`
		}](),
		"null, default= and was= are for texts": reflect.TypeFor[struct {
			A int `json:"a" field:",null"`
		}](),
		"has neither a json nor a field tag": reflect.TypeFor[struct {
			A int
		}](),
		"cannot be stored": reflect.TypeFor[struct {
			A float64 `json:"a"`
		}](),
		"ref= is for identities": reflect.TypeFor[struct {
			A int `json:"a" field:",ref=b"`
		}](),
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, what) {
					t.Errorf("got %q, want a panic that says %q", p, what)
				}
			}()
			shape.Of(typ)
		}()
	}
}

func TestSettle_PutsDefaultsAndPresentNames(t *testing.T) {
	t.Parallel()
	type inner struct {
		State string `json:"state" field:",default=new,was=fresh:new,was=old:used"`
	}
	type outer struct {
		inner
		Group inner  `json:"group"`
		None  *inner `json:"none"`
	}
	v := outer{Group: inner{State: "old"}}
	shape.Settle(reflect.ValueOf(&v).Elem(), shape.Of(reflect.TypeFor[outer]()))
	if v.State != "new" || v.Group.State != "used" || v.None != nil {
		t.Errorf("got %+v, want new, used and no group", v)
	}
}
