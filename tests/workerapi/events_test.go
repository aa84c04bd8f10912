package workerapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// event is one of apps/watched.py: its name and its fields.
type event struct {
	name   string
	fields map[string]any
}

func (e *event) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&e.name, &e.fields})
}

// Keys of the events, as the documentation of mod_wsgi 6 has them; those of the
// GIL are left out where there is no source for them.
var (
	startedKeys = []string{
		"application_object", "application_start", "callable_object", "daemon_connects", "daemon_restarts", "daemon_start",
		"queue_start", "request_data", "request_environ", "request_id", "request_start", "server_pid", "thread_id",
	}
	responseKeys  = []string{"exception_info", "request_data", "request_id", "response_headers", "response_status"}
	exceptionKeys = []string{"exception_info", "request_data", "request_id"}
	finishedKeys  = []string{
		"application_finish", "application_start", "application_time", "cpu_system_time", "cpu_time", "cpu_user_time", "daemon_start",
		"input_length", "input_reads", "input_time", "output_length", "output_time", "output_writes",
		"queue_start", "queue_time", // the latter is ours
		"request_data", "request_id", "request_start", "server_pid", "status", "thread_id",
	}
)

// cut stands for the status of a response that fails in the middle.
const cut = -1

// TestEvents runs requests of each kind and looks at what the callbacks saw.
func TestEvents(t *testing.T) {
	tests := []struct {
		name, method, path, body string
		status                   int
		answer                   string
		events                   []string
		last                     map[string]float64 // of request_finished
	}{
		{"list", "GET", "/plain", "", 200, "12 bytes or so", []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 200, "output_length": 14, "output_writes": 2, "input_reads": 0, "input_length": 0}},
		{"HEAD", "HEAD", "/plain", "", 200, "", []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 200, "output_length": 0, "output_writes": 0}},
		{"body", "POST", "/post", "first\nsecond", 200, "first\nsecond", []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 200, "input_reads": 2, "input_length": 12, "output_length": 12, "output_writes": 1}},
		{"generator", "GET", "/stream", "", 200, "onetwo", []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 200, "output_length": 6, "output_writes": 2}},
		{"write()", "GET", "/write", "", 200, "written and returned", []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 200, "output_length": 20, "output_writes": 2}},
		{"file", "GET", "/file", "", 200, strings.Repeat("f", 200000), []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 200, "output_length": 200000}},
		{"exception", "GET", "/fail", "", 500, "", []string{"request_started", "request_exception", "request_finished"},
			map[string]float64{"status": 0, "output_length": 0}},
		{"exception in the middle", "GET", "/fail-late", "", cut, "some", []string{"request_started", "response_started", "request_exception", "request_finished"},
			map[string]float64{"status": 200, "output_length": 4}},
		{"exc_info", "GET", "/exc-info", "", 503, "sorry", []string{"request_started", "response_started", "response_started", "request_finished"},
			map[string]float64{"status": 503}},
		{"another application", "GET", "/wrapped", "", 202, "wrapped", []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 202, "output_length": 7}},
		{"callback that fails", "GET", "/bad-callback", "", 200, "all the same", []string{"request_started", "response_started", "request_finished"},
			map[string]float64{"status": 200}},
	}
	each(t, "watched", func(t *testing.T, s *server) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				status, body := s.do(t, tt.method, tt.path, tt.body)
				if tt.status == cut {
					// Whether the client sees 200 and the first part depends on what has been sent by then.
					if status != 200 && status != 500 {
						t.Fatalf("status %d, body %.100q\n%s", status, body, s.Log())
					}
				} else if status != tt.status || tt.status != 500 && body != tt.answer {
					t.Fatalf("status %d, body %.100q, want %d, %.100q\n%s", status, body, tt.status, tt.answer, s.Log())
				}
				events := lastRequest(ask[[]event](t, s, "/told?"+tt.path))
				var names []string
				for _, e := range events {
					names = append(names, e.name)
				}
				if !slices.Equal(names, tt.events) {
					t.Fatalf("events %q, want %q", names, tt.events)
				}
				for _, e := range events {
					checkKeys(t, s, e, tt.path)
				}
				fields := events[len(events)-1].fields
				for key, want := range tt.last {
					if got := fields[key]; got != want {
						t.Errorf("%s = %v, want %v", key, got, want)
					}
				}
				checkTimes(t, fields)
			})
		}
		s.waitLog(t, `ValueError: (a callback that fails)`, "a callback that fails")
	})
}

// lastRequest returns the events of the request that began last.
func lastRequest(events []event) []event {
	begin := 0
	for i, e := range events {
		if e.name == "request_started" {
			begin = i
		}
	}
	return events[begin:]
}

func checkKeys(t *testing.T, s *server, e event, path string) {
	t.Helper()
	want := slices.Clone(map[string][]string{
		"request_started": startedKeys, "response_started": responseKeys, "request_exception": exceptionKeys, "request_finished": finishedKeys,
	}[e.name])
	if e.name == "request_started" && path == "/wrapped" {
		want = append([]string{"added"}, want...) // by the callback before
	}
	got := keysOf(e.fields)
	if strings.HasPrefix(s.host.name, "pypy") {
		// Its resource module may not know threads.
		got = slices.DeleteFunc(got, func(key string) bool { return strings.HasPrefix(key, "cpu_") })
		want = slices.DeleteFunc(want, func(key string) bool { return strings.HasPrefix(key, "cpu_") })
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", e.name, got, want)
	}
	data, _ := e.fields["request_data"].(map[string]any)
	if data["seen"] != path {
		t.Errorf("%s: request_data %v, want seen = %s", e.name, data, path)
	}
	if path == "/plain" && e.name == "request_finished" && data["mine"] != "from the application" {
		t.Errorf("%s: request_data %v has nothing from the application", e.name, data)
	}
	if id, _ := e.fields["request_id"].(string); id == "" {
		t.Errorf("%s: request_id %v", e.name, e.fields["request_id"])
	}
	switch e.name {
	case "request_exception":
		if info, _ := e.fields["exception_info"].([]any); len(info) != 3 || info[1] != "KeyError" {
			t.Errorf("exception_info %v, want the three of a KeyError", e.fields["exception_info"])
		}
	case "response_started":
		if status, _ := e.fields["response_status"].(string); len(status) < 5 {
			t.Errorf("response_status %v", e.fields["response_status"])
		}
	}
}

func checkTimes(t *testing.T, fields map[string]any) {
	t.Helper()
	number := func(key string) float64 { v, _ := fields[key].(float64); return v }
	if got, want := number("application_time"), number("application_finish")-number("application_start"); !near(got, want) || got < 0 {
		t.Errorf("application_time %v, want %v", got, want)
	}
	if number("request_start") == 0 || number("queue_start") == 0 || number("queue_time") < 0 || number("queue_time") > 60 {
		t.Errorf("times %v", fields)
	}
	if got, want := number("cpu_time"), number("cpu_user_time")+number("cpu_system_time"); !near(got, want) || got < 0 {
		t.Errorf("cpu_time %v, want %v", got, want)
	}
}

// TestModWSGIActiveRequests: the dict holds the very object of request_data().
func TestModWSGIActiveRequests(t *testing.T) {
	each(t, "watched", func(t *testing.T, s *server) {
		if got := ask[map[string]int](t, s, "/active"); got["same"] != 1 || got["callbacks"] != 2 {
			t.Errorf("active_requests and event_callbacks: %v, want 1 and 2", got)
		}
	})
}

// Keys of the two functions, as the documentation of mod_wsgi 6 has them.
var processKeys = []string{
	"active_requests", "cpu_system_time", "cpu_time", "cpu_user_time", "current_time", "memory_max_rss", "memory_rss", "pid",
	"request_busy_time", "request_count", "request_threads", "restart_time", "running_time", "threads",
}

func requestKeys() []string {
	keys := []string{
		"pid", "start_time", "stop_time", "sample_period", "request_count", "request_throughput", "request_threads_maximum",
		"request_threads_started", "request_threads_active", "capacity_utilization", "request_threads_completed", "request_threads_buckets",
		"request_threads_busy_time", "request_threads_cpu_time", "request_threads_current_elapsed", "request_threads_max_duration",
		"gil_wait_count", "input_bytes", "input_reads", "output_bytes", "output_writes", "status_1xx", "status_2xx", "status_3xx",
		"status_4xx", "status_5xx", "cpu_user_utilization", "cpu_system_utilization", "cpu_utilization", "cpu_user_time",
		"cpu_system_time", "cpu_time", "memory_rss", "memory_max_rss",
	}
	for _, phase := range []string{"server", "queue", "daemon", "application", "request", "input_read", "output_write", "gil_wait"} {
		keys = append(keys, phase+"_time", phase+"_time_min_us", phase+"_time_max_us", phase+"_time_buckets")
	}
	slices.Sort(keys)
	return keys
}

// TestModWSGIMetrics: every key is there, and the sums agree with what was asked.
func TestModWSGIMetrics(t *testing.T) {
	each(t, "watched", func(t *testing.T, s *server) {
		for range 3 {
			s.get(t, "/plain")
		}
		s.get(t, "/fail")
		ask[[]event](t, s, "/told?/fail")
		got := ask[struct {
			Process, Request map[string]any
			Server           any
			Facts, Types     []any
		}](t, s, "/metrics")
		if keys := keysOf(got.Process); !slices.Equal(keys, processKeys) {
			t.Errorf("process_metrics() has %q, want %q", keys, processKeys)
		}
		if keys := keysOf(got.Request); !slices.Equal(keys, requestKeys()) {
			t.Errorf("request_metrics() has %q, want %q", keys, requestKeys())
		}
		number := func(key string) float64 { v, _ := got.Request[key].(float64); return v }
		// /told may or may not have ended.
		if n := number("request_count"); n != 4 && n != 5 {
			t.Errorf("request_count %v, want 4 or 5", n)
		}
		if number("status_5xx") != 1 || number("status_2xx") != number("request_count")-1 {
			t.Errorf("status_2xx %v, status_5xx %v", number("status_2xx"), number("status_5xx"))
		}
		for _, phase := range []string{"application", "request"} {
			buckets, _ := got.Request[phase+"_time_buckets"].([]any)
			sum := 0.0
			for _, n := range buckets {
				sum += n.(float64)
			}
			if len(buckets) != 65 || sum != number("request_count") {
				t.Errorf("%s_time_buckets: %d places with %v requests, want 65 with %v", phase, len(buckets), sum, number("request_count"))
			}
		}
		if queue := got.Request["queue_time"]; (queue == nil) != s.host.embedded {
			t.Errorf("queue_time %v, embedded %v", queue, s.host.embedded)
		}
		group := "/"
		if s.host.embedded {
			group = ""
		}
		if want := []any{group, "", 1.0, 3.0}; !slices.Equal(got.Facts, want) {
			t.Errorf("facts %v, want %v", got.Facts, want)
		}
		if want := []any{true, "BaseException"}; got.Server != nil || !slices.Equal(got.Types, want) {
			t.Errorf("server_metrics() = %v, types %v, want nil and %v", got.Server, got.Types, want)
		}
	})
}
