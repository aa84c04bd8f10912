package static

import "testing"

func TestHashedName(t *testing.T) {
	for name, want := range map[string]bool{
		"app.55e7cbb9ba48.css":                      true,
		"app.55e7cbb9ba48.min.css":                  true,
		"app.55e7cbb9ba48.css.map":                  true,
		"main-4f3e2d1c.js":                          true,
		"main_4f3e2d1c.js":                          true,
		"index-BxT9Zk3a.js":                         true,
		"logo.0123456789abcdef0123456789abcdef.png": true,
		"app.css":                                  false,
		"jquery-3.7.1.min.js":                      false,
		"report-20260504.js":                       false,
		"photo-12345678.jpg":                       false,
		"jquery-components.js":                     false,
		"deadbeef-facade.js":                       false,
		"book-Chapter1.js":                         false,
		"55e7cbb9ba48.css":                         false,
		"page.55e7cbb9ba48.html":                   false,
		"dump-4f3e2d1c.sql":                        false,
		"v-1a2b3c4.js":                             false,
		"3f2504e0-4f89-11d3-9a0c-0305e82c3301.jpg": false,
		".55e7cbb9ba48.css":                        false,
		"":                                         false,
	} {
		if got := hashedName(name); got != want {
			t.Errorf("hashedName(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestCacheRules(t *testing.T) {
	c, err := newCacheRules([]CacheRule{{"/media/*.jpg", "max-age=60"}, {"*.JPG", "max-age=5"}, {"plain.txt", ""}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/media/a.jpg": "max-age=60", "/media/x/a.jpg": "max-age=5", "/a.Jpg": "max-age=5", "/plain.txt": "",
		"/a.html": "no-cache", "/app.55e7cbb9ba48.css": "public, max-age=31536000, immutable",
	} {
		if got := string(c.of(name, name[1:])); got != want {
			t.Errorf("Cache-Control of %s = %q, want %q", name, got, want)
		}
	}
	for _, bad := range []CacheRule{{"", "x"}, {"[", "x"}, {"a", "x\r\ny"}} {
		if _, err := newCacheRules([]CacheRule{bad}); err == nil {
			t.Errorf("newCacheRules(%q) = nil error, want one", bad)
		}
	}
}
