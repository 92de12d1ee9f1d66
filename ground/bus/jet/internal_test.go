package jet

import "testing"

func TestShown_HasNoPassword(t *testing.T) {
	for id, want := range map[string]string{
		"nats://127.0.0.1:4222": "nats://127.0.0.1:4222", "nats://user:secret@h:4222": "nats://h:4222", "nats://token@h": "nats://h",
		"nats://user:se@cret@h:4222": "nats://h:4222", "nats://u:s@a:1,tls://u:s@t@b:2": "nats://a:1,tls://b:2", "nats://a:1,nats://u:s@b:2": "nats://a:1,nats://b:2",
		"nats://u:s,ecret@h:4222": "h:4222", "u:se@cret@h:4222": "h:4222", "become_job": "become_job", "": "",
	} {
		if got := shown(id); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}
