package mongodb_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func TestPayments(t *testing.T) {
	t.Parallel()
	storetest.Payment(t, func(t *testing.T) cutover.Side { return storetest.MongoSide(t, payment.Definition) })
}
