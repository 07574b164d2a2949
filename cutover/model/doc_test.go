// Package model runs the real engine, several processes of it, on toy databases
// in memory, and explores what may go wrong: crashes between any two steps,
// lost and late messages and answers, processes that freeze and wake up, leases
// that run out, databases that are away.
//
// A schedule is one run, made by one seed. Every operation on a database or on
// the control plane is a step that waits until the scheduler grants it, one at
// a time; time is that of a synctest bubble and passes only when the scheduler
// lets it. After each step the oracle looks at both databases:
//
//   - a write that was acknowledged was made where the primary was, and is in
//     the primary ever after, once;
//   - a read shows every write that was acknowledged before it began;
//   - the secondary differs from the primary only in what a note, a gap or a
//     stray write's note announces, once the backfill is over;
//   - when all is quiet, the domain is open, every process reads and writes, no
//     note is left and both databases are alike.
//
// gate_test.go is the scheduler, plan_test.go what it has in store,
// handles_test.go the databases as a process has them, oracle_test.go and
// rest_test.go what must hold, mutants_test.go known mistakes that must be
// caught, found_test.go what was found.
package model
