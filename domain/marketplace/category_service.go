package marketplace

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// CategoryDraft is what an admin says of a new category.
type CategoryDraft struct {
	Name        string     `json:"name" minLength:"1" maxLength:"100"`
	NameEn      string     `json:"nameEn,omitempty" maxLength:"100"`
	Description string     `json:"description,omitempty" format:"lines" maxLength:"500"`
	Icon        string     `json:"icon,omitempty" maxLength:"500"`
	IsActive    *bool      `json:"isActive,omitempty" default:"true"`
	ParentID    cutover.ID `json:"parentId,omitzero" required:"false"`
	Order       int        `json:"order,omitempty" minimum:"-1000000" maximum:"1000000"`
}

// CategoryPatch is a change to a category; nil leaves a field as it is. The
// parent 000000000000000000000000 moves it to the root.
type CategoryPatch struct {
	Name        *string     `json:"name,omitempty" minLength:"1" maxLength:"100"`
	NameEn      *string     `json:"nameEn,omitempty" maxLength:"100"`
	Description *string     `json:"description,omitempty" format:"lines" maxLength:"500"`
	Icon        *string     `json:"icon,omitempty" maxLength:"500"`
	IsActive    *bool       `json:"isActive,omitempty"`
	ParentID    *cutover.ID `json:"parentId,omitempty" doc:"000000000000000000000000 moves it to the root"`
	Order       *int        `json:"order,omitempty" minimum:"-1000000" maximum:"1000000"`
}

// Categories returns the active categories by order.
func (s *Service) Categories(ctx context.Context) ([]Category, error) {
	all, err := s.allCategories(ctx)
	active := make([]Category, 0, len(all))
	for _, c := range all {
		if c.IsActive {
			active = append(active, c)
		}
	}
	return active, err
}

// CategoryTree returns the active categories as a tree.
func (s *Service) CategoryTree(ctx context.Context) ([]CategoryNode, error) {
	all, err := s.allCategories(ctx)
	return categoryTree(all), err
}

func (s *Service) allCategories(ctx context.Context) ([]Category, error) {
	return cutover.View(ctx, s.db, QueryCategories, func(ctx context.Context, tx cutover.Tx) ([]Category, error) {
		return Categories(ctx, tx)
	})
}

// Category returns one category, also an inactive one: older requests name it.
// Errors: fault.NotFound.
func (s *Service) Category(ctx context.Context, id cutover.ID) (Category, error) {
	return cutover.View(ctx, s.db, QueryCategory, func(ctx context.Context, tx cutover.Tx) (Category, error) {
		return cutover.Get[Category](ctx, tx, id)
	})
}

// CreateCategory is for admins. Errors: fault.Invalid; fault.Conflict when a
// name is taken.
func (s *Service) CreateCategory(ctx context.Context, who web.Principal, d CategoryDraft) (Category, error) {
	if err := admins.Admit(who); err != nil {
		return Category{}, err
	}
	if err := limit.Check(d); err != nil {
		return Category{}, err
	}
	draft := Category{
		Meta: cutover.Meta{ID: cutover.NewID()},
		Name: d.Name, NameEn: d.NameEn, Description: d.Description, Icon: d.Icon,
		IsActive: d.IsActive == nil || *d.IsActive, ParentID: d.ParentID, Order: d.Order,
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Category, error) {
		return putCategory(ctx, tx, draft)
	})
}

// UpdateCategory is for admins. Errors: fault.NotFound; fault.Invalid, also
// when the category would become its own ancestor; fault.Conflict when a name
// is taken.
func (s *Service) UpdateCategory(ctx context.Context, who web.Principal, id cutover.ID, p CategoryPatch) (Category, error) {
	if err := admins.Admit(who); err != nil {
		return Category{}, err
	}
	if err := limit.Check(p); err != nil {
		return Category{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Category, error) {
		c, err := cutover.Get[Category](ctx, tx, id)
		if err != nil {
			return Category{}, err
		}
		set(&c.Name, p.Name)
		set(&c.NameEn, p.NameEn)
		set(&c.Description, p.Description)
		set(&c.Icon, p.Icon)
		set(&c.IsActive, p.IsActive)
		set(&c.ParentID, p.ParentID)
		set(&c.Order, p.Order)
		return putCategory(ctx, tx, c)
	})
}

// putCategory checks a category against all others. That it does not become
// its own ancestor is decided by its ancestors, so these are written as well:
// of two moves that together would close a circle, one meets a conflict.
func putCategory(ctx context.Context, tx cutover.Tx, c Category) (Category, error) {
	c.tidy()
	all, err := Categories(ctx, tx)
	if err != nil {
		return Category{}, err
	}
	if err := c.checkNames(all); err != nil {
		return Category{}, err
	}
	line, err := c.ancestors(all)
	if err != nil {
		return Category{}, err
	}
	for i := range line {
		if err := tx.Put(ctx, &line[i]); err != nil {
			return Category{}, err
		}
	}
	return c, tx.Put(ctx, &c)
}
