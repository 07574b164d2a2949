package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/config"
)

func (c *cli) userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "user",
		Short:   "Accounts, as far as the API cannot make them",
		Example: "  amanat user create root@example.org --role admin",
	}
	cmd.AddCommand(c.userCreateCommand())
	return group(cmd)
}

func (c *cli) userCreateCommand() *cobra.Command {
	in := user.NewAccount{}
	var role string
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "create <email>",
		Short: "Make an account that is verified already, such as the first administrator",
		Long: `Make an account that is verified already, such as the first administrator: only
an administrator can make another one through the API. A password is made and
printed once, unless --password-stdin gives one.`,
		Example: "  amanat user create root@example.org --role admin\n  amanat user create root@example.org --role admin --password-stdin < password.txt",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Email, in.Role = args[0], user.Role(role)
			made, err := password(&in, fromStdin, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return c.createUser(cmd.Context(), in, made)
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", string(user.Admin), "buyer, seller, admin or resolver")
	f.StringVar(&in.FirstName, "first-name", "Amanat", "first name")
	f.StringVar(&in.LastName, "last-name", "Administrator", "last name")
	f.BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input, one line")
	return cmd
}

// password sets the account's password and says whether it was made up here.
func password(in *user.NewAccount, fromStdin bool, stdin io.Reader) (made bool, err error) {
	if !fromStdin {
		in.Password = rand.Text()
		return true, nil
	}
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("the password was not read: %w", err)
	}
	in.Password = strings.TrimRight(line, "\r\n")
	return false, nil
}

func (c *cli) createUser(ctx context.Context, in user.NewAccount, made bool) error {
	conf, err := config.Read(c.environ, config.Serve)
	if err != nil {
		return err
	}
	return c.withEngine(ctx, conf, func(a *app) error {
		if err := a.engine.Open(ctx); err != nil {
			return err
		}
		p, err := a.program()
		if err != nil {
			return err
		}
		u, err := p.Users.Provision(ctx, in)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s %s has the id %s\n", u.Role, u.Email, u.ID)
		if made {
			fmt.Fprintf(c.out, "password, shown this once: %s\n", in.Password)
		}
		return nil
	})
}
