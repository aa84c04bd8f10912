package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// expressOptions are the options of mod_wsgi-express 6.
const expressOptions = `
--access-log --access-log-format --access-log-name --add-handler --allow-localhost --allow-override
--application-group --application-type --auth-group --auth-group-script --auth-type --auth-user-script
--body-max-timeout --body-min-rate --body-timeout --callable-object --chunked-request --compress-responses
--connect-timeout --coverage-directory --cpu-time-limit --daemon-backlog --deadlock-timeout --debug-mode
--debugger-startup --directory-index --directory-listing --disable-reloading --document-root --embedded-mode
--enable-coverage --enable-debugger --enable-docs --enable-gdb --enable-profiler --enable-recorder
--enable-sendfile --enable-telemetry --entry-point --env-file --envvars-script --error-document
--error-log-format --error-log-name --error-override --eviction-timeout --free-threading --gdb-executable
--graceful-timeout --group --header-buffer-size --header-max-timeout --header-min-rate --header-timeout --host
--host-access-script --hsts-policy --http2 --httpd-executable --https-only --https-port --ignore-activity
--inactivity-timeout --include-file --initial-workers --interrupt-timeout --keep-alive-timeout --lang
--limit-request-body --locale --log-directory --log-level --log-to-terminal --map-head-to-get --max-clients
--max-log-size --maximum-requests --maximum-spare-workers --mime-types --minimum-spare-workers
--modules-directory --mount-point --orphan-interpreter --passenv --pid-file --port --process-group
--process-name --processes --profiler-directory --proxy-mount-point --proxy-timeout --proxy-url-alias
--proxy-virtual-host --python-eggs --python-path --python-warnings --queue-timeout --receive-buffer-size
--recorder-directory --reload-on-changes --request-timeout --response-buffer-size --response-flush-delay
--response-socket-timeout --restart-interval --rewrite-rules --rotate-logs --rotatelogs-executable
--send-buffer-size --server-alias --server-backlog --server-metrics --server-mpm --server-name --server-root
--server-status --service-group --service-log-file --service-script --service-user --setenv --setup-only
--shell-executable --shutdown-timeout --slow-requests --socket-prefix --socket-timeout
--ssl-ca-certificate-file --ssl-certificate --ssl-certificate-chain-file --ssl-certificate-file
--ssl-certificate-key-file --ssl-environment --ssl-port --ssl-verify-client --startup-log --startup-log-name
--startup-timeout --switch-interval --telemetry-interval --telemetry-options --telemetry-service
--telemetry-ui-port --threads --trust-proxy --trust-proxy-header --url-alias --user --verbose-debugging
--with-cgi --with-php5 --working-directory
`

// Whoever comes from mod_wsgi-express finds each of its options here, or learns what
// is there instead; a guess by the letters would be wrong for most.
func TestExpressOptions(t *testing.T) {
	_, kctx, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(expressOptions) {
		if slices.ContainsFunc(serveFlags(kctx.Model), func(f *kong.Flag) bool { return "--"+f.Name == name }) {
			if foreignOptions[name] != "" {
				t.Errorf("%s is an option, and explained as if it were none", name)
			}
			continue
		}
		err := explainUnknownOption(name, []string{name}, kctx.Model)
		if hint := hintOf(err); hint != foreignOptions[name] || hint == "" {
			t.Errorf("%s: hint %q, want %q", name, hint, foreignOptions[name])
		}
	}
	// A hint that names an option names one that there is.
	for name, hint := range foreignOptions {
		for word := range strings.FieldsSeq(hint) {
			word = strings.Trim(word, ":;,.")
			if strings.HasPrefix(word, "--") && !slices.ContainsFunc(serveFlags(kctx.Model), func(f *kong.Flag) bool { return "--"+f.Name == word }) {
				t.Errorf("%s: %q names %s, which is no option", name, hint, word)
			}
		}
	}
}
