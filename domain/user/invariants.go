package user

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

// Invariants must hold on both databases, and agree.
var Invariants = []cutover.Invariant{
	{Name: "users per role and status", Eval: countUsers},
	{Name: "one primary address per user", Eval: countPrimaries},
}

func countUsers(ctx context.Context, tx cutover.Tx) (string, error) {
	perRole, perStatus, total := map[Role]int{}, map[Status]int{}, 0
	err := cutover.Each(ctx, tx, func(u User) error {
		perRole[u.Role]++
		perStatus[u.Status]++
		total++
		return nil
	})
	return fmt.Sprintf("%d users%s%s", total, countsText(perRole), countsText(perStatus)), err
}

// countsText returns ", 1 buyer, 2 seller" in the order of the names.
func countsText[K ~string](counts map[K]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, ", %d %s", counts[name], name)
	}
	return b.String()
}

// countPrimaries reports users without or with several primary addresses, as
// legacy data may have them, and does not fail over them: what matters is that
// both databases agree. Addresses come in ID order, so it counts per user in
// memory: a few bytes for each user who has one.
func countPrimaries(ctx context.Context, tx cutover.Tx) (string, error) {
	primaries, total := map[cutover.ID]int{}, 0
	err := cutover.Each(ctx, tx, func(a Address) error {
		total++
		if a.IsPrimary {
			primaries[a.UserID]++
		} else {
			primaries[a.UserID] += 0
		}
		return nil
	})
	odd := 0
	for _, n := range primaries {
		if n != 1 {
			odd++
		}
	}
	return fmt.Sprintf("%d addresses of %d users, %d without exactly one primary", total, len(primaries), odd), err
}
