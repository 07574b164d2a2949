package main

import (
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

// remedyTexts word what the engine says would help.
var remedyTexts = map[cutover.Remedy]string{
	cutover.RemedyServe:     "start a server: amanat serve",
	cutover.RemedyDatabases: "set MONGODB_URI and PG_URL, and restart",
	cutover.RemedyStart:     "run: amanat cutover start {domain} --execute",
	cutover.RemedyBackfill:  "run: amanat backfill {domain}",
	cutover.RemedyVerify:    "run: amanat verify {domain}",
	cutover.RemedyDrill:     "run: amanat cutover drill {domain}",
	cutover.RemedyResume:    "run: amanat cutover resume {domain}",
	cutover.RemedyGaps:      "see: amanat gaps list {domain}",
	cutover.RemedyStrays:    "see: amanat cutover strays {domain}",
}

// remediesText returns what would help, to stand behind what is wrong.
func remediesText(remedies []cutover.Remedy, domain string) string {
	out := ""
	for _, r := range remedies {
		out += "; " + strings.ReplaceAll(remedyTexts[r], "{domain}", domain)
	}
	return out
}
