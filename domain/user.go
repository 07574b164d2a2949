package domain

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/mail"
)

var users = Domain{Definition: user.Definition, New: newUsers}

func newUsers(p *Program, db *cutover.Domain) (Service, error) {
	sender, err := newSender(p.Conf)
	if err != nil {
		return nil, err
	}
	p.Users, err = user.New(user.Deps{
		DB: db, Mail: sender, Dependents: []user.Dependents{dependents{p}}, Log: p.Log,
		JWTSecret: []byte(p.Conf.JWTSecret.Reveal()), CodeSecret: []byte(p.Conf.CodeSecret.Reveal()),
	})
	return p.Users, err
}

func newSender(conf config.Config) (mail.Sender, error) {
	if conf.SMTPURL.IsSet() {
		return mail.SMTP(conf.SMTPURL.Reveal())
	}
	return mail.Mailbox(conf.MailboxDir)
}

// dependents asks all domains what keeps an account from going.
type dependents struct{ p *Program }

func (d dependents) Dependencies(ctx context.Context, userID cutover.ID) (all []user.Dependency, err error) {
	for _, domain := range d.p.domains {
		if domain.Keeps == nil {
			continue
		}
		some, err := domain.Keeps(d.p).Dependencies(ctx, userID)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// counted is a count of what keeps an account from going.
type counted struct {
	name  string
	count func(ctx context.Context, userID cutover.ID) (int64, error)
}

func (c counted) Dependencies(ctx context.Context, userID cutover.ID) ([]user.Dependency, error) {
	n, err := c.count(ctx, userID)
	return []user.Dependency{{Name: c.name, Count: n, Blocks: true}}, err
}
