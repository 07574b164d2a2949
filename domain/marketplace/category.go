package marketplace

import (
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Category sorts purchase requests. Among active ones a name is unique,
// ignoring case and outer blanks; nameEn is unique among all. Categories are
// never deleted, only made inactive.
type Category struct {
	cutover.Meta
	Name        string     `json:"name"`
	NameEn      string     `json:"nameEn,omitempty" field:",null"`
	Description string     `json:"description,omitempty"`
	Icon        string     `json:"icon,omitempty"`
	IsActive    bool       `json:"isActive"`
	ParentID    cutover.ID `json:"parentId,omitzero" field:",ref=category"`
	Order       int        `json:"order"` // among its siblings, the lowest first
}

// ActiveNameKey is what must be unique among active categories; "" when the
// category is not subject to the rule.
func (c Category) ActiveNameKey() string {
	if !c.IsActive {
		return ""
	}
	return strings.ToLower(strings.Trim(c.Name, " "))
}

func (c *Category) tidy() {
	c.Name = strings.TrimSpace(c.Name)
	c.NameEn = strings.TrimSpace(c.NameEn)
}

// checkNames fails with fault.Conflict when another of all has c's name. The
// databases hold the rule as well; this says which field it is.
func (c Category) checkNames(all []Category) error {
	for _, other := range all {
		if other.ID == c.ID {
			continue
		}
		if key := c.ActiveNameKey(); key != "" && key == other.ActiveNameKey() {
			return errTaken("name")
		}
		if c.NameEn != "" && c.NameEn == other.NameEn {
			return errTaken("nameEn")
		}
	}
	return nil
}

func errTaken(field string) error {
	f := fault.New(fault.Conflict, "another category has this %s", field)
	f.Fields = map[string]string{field: "is taken"}
	return f
}

// ancestors walks from c's parent to the root. It fails when the parent is
// missing, or when the walk comes back to c: then c would be its own ancestor.
func (c Category) ancestors(all []Category) ([]Category, error) {
	byID := make(map[cutover.ID]Category, len(all))
	for _, other := range all {
		byID[other.ID] = other
	}
	var line []Category
	for at := c.ParentID; !at.IsZero(); {
		next, ok := byID[at]
		switch {
		case !ok && len(line) == 0:
			return nil, fault.Field("parentId", "there is no such category")
		case !ok:
			return line, nil // a legacy branch without a root
		case at == c.ID || len(line) > len(all):
			return nil, fault.Field("parentId", "would make the category its own ancestor")
		}
		line = append(line, next)
		at = next.ParentID
	}
	return line, nil
}

// CategoryNode is a category with those under it.
type CategoryNode struct {
	Category
	Children []CategoryNode `json:"children"`
}

// categoryTree arranges the active ones of all, keeping their order. What is
// under an inactive category is left out with it; one whose parent does not
// exist stands at the root.
func categoryTree(all []Category) []CategoryNode {
	exists := make(map[cutover.ID]bool, len(all))
	children := map[cutover.ID][]Category{}
	for _, c := range all {
		exists[c.ID] = true
	}
	for _, c := range all {
		parent := c.ParentID
		if !exists[parent] {
			parent = cutover.ID{}
		}
		if c.IsActive {
			children[parent] = append(children[parent], c)
		}
	}
	return branch(children, cutover.ID{})
}

// branch cannot loop: a circle has no way in from the root.
func branch(children map[cutover.ID][]Category, parent cutover.ID) []CategoryNode {
	nodes := make([]CategoryNode, 0, len(children[parent]))
	for _, c := range children[parent] {
		nodes = append(nodes, CategoryNode{c, branch(children, c.ID)})
	}
	return nodes
}
