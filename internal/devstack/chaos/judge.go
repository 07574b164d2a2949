package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/internal/devstack/audit"
	"github.com/amanat-dev/amanat/internal/devstack/await"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// judge waits for rest, and returns what is wrong. Nothing may write meanwhile.
func (w *world) judge(ctx context.Context) (wrong []string, err error) {
	all, restless, err := w.rest(ctx)
	if err != nil || restless != "" {
		return []string{restless}, err
	}
	for _, s := range all {
		if copied(s) {
			if err := w.command(ctx, "verify", s.Domain); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	}
	faults, err := w.doctor(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := w.audit(ctx, all)
	return slices.Concat(wrong, faults, lost), err
}

// copied says that both databases must be alike.
func copied(s status) bool { return s.Phase == "dual" || s.Phase == "mirror" }

// rest waits until every domain is open, with every server on its epoch, and
// nothing is left to copy, to finish or to undo; or says what is. It takes as
// long as leases and the sessions of who is gone need to run out, and until what
// dead writers left is abandoned, after ten seconds.
func (w *world) rest(ctx context.Context) (all []status, restless string, err error) {
	hung := await.Until(ctx, "rest", 200*time.Millisecond, func() (bool, string, error) {
		all, restless, err = w.atRest(ctx)
		return restless == "" && err == nil, fmt.Sprint(restless, err), nil
	})
	if ctx.Err() != nil || hung == nil {
		return all, "", ctx.Err()
	}
	return all, restless, err
}

func (w *world) atRest(ctx context.Context) (all []status, restless string, err error) {
	if all, err = w.status(ctx); err != nil {
		return nil, "", err
	}
	for _, s := range all {
		if s.Strays > 0 {
			return nil, fmt.Sprintf("%s: %v", s.Domain, errors.Join(errStrays, w.mendStrays(ctx, s))), nil
		}
		if restless := unrest(s); restless != "" {
			return nil, s.Domain + ": " + restless, nil
		}
	}
	left, err := w.leftovers(ctx, all)
	return all, left, err
}

// unrest says what a domain still has to do.
func unrest(s status) string {
	names := map[string]bool{} // a server that was started again may be there as two processes
	for _, p := range s.Processes {
		if p.Alive && p.Acks[s.Domain] != s.Epoch {
			return p.ID + " is not on its epoch"
		}
		if p.Alive {
			names[p.ID[:max(0, strings.LastIndex(p.ID, "-"))]] = true
		}
	}
	switch {
	case s.Problem != "":
		return s.Problem
	case s.Sealed:
		return "sealed"
	case len(names) < servers:
		return fmt.Sprintf("%d of %d servers are there", len(names), servers)
	case s.Notes > 0:
		return fmt.Sprintf("%d notes to copy", s.Notes)
	case s.OpenGaps > 0:
		return fmt.Sprintf("%d open gaps", s.OpenGaps)
	case s.Phase == "dual" && slices.ContainsFunc(s.Backfill, func(k kindProgress) bool { return k.Done < k.Chunks }):
		return "its backfill is not complete"
	}
	return ""
}

// leftovers looks for what dead writers left in MongoDB. Where it is left behind
// nothing of it is read any more.
func (w *world) leftovers(ctx context.Context, all []status) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	client, err := mongo.Connect(options.Client().ApplyURI(w.stack.Mongo.URI()).SetServerSelectionTimeout(5 * time.Second))
	if err != nil {
		return "", err
	}
	defer client.Disconnect(context.WithoutCancel(ctx))
	db := client.Database(w.database)
	for _, s := range all {
		if s.Phase == "target" {
			continue
		}
		n, err := db.Collection("cutover_commits").CountDocuments(ctx, bson.D{{Key: "domain", Value: s.Domain}, {Key: "state", Value: bson.D{{Key: "$ne", Value: "aborted"}}}})
		if err != nil || n > 0 {
			return fmt.Sprintf("%s: %d commits are under way", s.Domain, n), err
		}
		for _, collection := range audit.Collections(s.Domain) {
			n, err := db.Collection(collection).CountDocuments(ctx, bson.D{{Key: "_lockCommit", Value: bson.D{{Key: "$exists", Value: true}}}})
			if err != nil || n > 0 {
				return fmt.Sprintf("%s: %d documents of %s are locked", s.Domain, n, collection), err
			}
		}
	}
	return "", nil
}

// doctor returns the faults that amanat doctor finds: among others a state kept
// in MongoDB that is not the recorded one, a seal without a coordinator, a move
// without a copier.
func (w *world) doctor(ctx context.Context) (wrong []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var findings []struct{ Check, About, State, Found string }
	if err := w.d.JSON(ctx, &findings, "doctor"); err != nil && !held(err) {
		return nil, err
	}
	for _, f := range findings {
		if f.State == "fail" {
			wrong = append(wrong, fmt.Sprintf("doctor: %s %s: %s", f.Check, f.About, f.Found))
		}
	}
	return wrong, nil
}

// audit has the independent check account for every acknowledged write where
// the domains are.
func (w *world) audit(ctx context.Context, all []status) (wrong []string, err error) {
	o := audit.Options{MongoURI: w.stack.Mongo.URI(), Database: w.database, PGURL: w.pgURL(),
		Facts: w.traffic.Account().Facts(), Sole: w.traffic.Account().Sole()}
	for _, s := range all {
		if !slices.Contains(deployment.Domains, s.Domain) {
			continue
		}
		o.Domains, o.MongoOnly, o.PostgresOnly = []string{s.Domain}, s.Phase == "source", s.Phase == "target"
		r, err := audit.Run(ctx, o)
		if err != nil {
			return nil, err
		}
		w.result.take(r)
		if !r.OK() {
			wrong = append(wrong, fmt.Sprintf("%s: %d lost, %d twice, %d different, %d off balance: %s", s.Domain,
				r.Lost(), r.Twice(), r.Differences(), r.Unbalanced(), strings.Join(r.Problems(), "; ")))
		}
	}
	return wrong, nil
}
