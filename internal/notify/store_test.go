package notify

import (
	"errors"
	"path/filepath"
	"spillway/internal/notify/alarm"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestSurvivesRestart: what was not sent is sent by the next process, what was
// told is not told again, and what nobody finds again is taken back.
func TestSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := File{filepath.Join(t.TempDir(), "notify.json")}
		e := &endpoint{}
		first := open(t, store, channel("chat", e))
		first.Take(firing("told", alarm.Warn))
		first.Take(firing("gone", alarm.Warn))
		time.Sleep(time.Second)
		e.set(hang)
		first.Take(firing("unsent", alarm.Page))
		first.Take(resolved("unsent"))
		synctest.Wait()
		first.close(t)

		e.set(nil)
		second := open(t, store, channel("chat", e))
		defer second.close(t)
		second.Take(firing("told", alarm.Warn))
		time.Sleep(time.Minute)
		want(t, "after the restart", e.got(), "told firing warn", "gone firing warn", "unsent firing page", "unsent resolved warn")
		time.Sleep(time.Hour)
		want(t, "an hour later", e.got()[4:], "gone resolved warn")
		if _, err := decodeState(mustLoad(t, store)); err != nil {
			t.Error(err)
		}
	})
}

// TestForeignAlarmsStay: another monitor does not repeat itself after a restart
// of ours; its alarm holds until it says otherwise.
func TestForeignAlarmsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := File{filepath.Join(t.TempDir(), "notify.json")}
		e := &endpoint{}
		c := channel("chat", e)
		c.Foreign = true
		first := open(t, store, c)
		theirs := firing("foreign/cw/cpu", alarm.Page)
		theirs.Foreign = true
		first.Take(theirs)
		time.Sleep(time.Second)
		first.close(t)
		second := open(t, store, c)
		defer second.close(t)
		time.Sleep(24 * time.Hour)
		want(t, "a day later", e.got(), "foreign/cw/cpu firing page")
		theirs.Status = alarm.Resolved
		second.Take(theirs)
		synctest.Wait()
		want(t, "then", e.got(), "foreign/cw/cpu firing page", "foreign/cw/cpu resolved page")
	})
}

func mustLoad(t *testing.T, s Store) []byte {
	t.Helper()
	text, err := s.Load()
	if err != nil || len(text) == 0 {
		t.Fatalf("kept %d bytes, %v", len(text), err)
	}
	return text
}

func TestBrokenStores(t *testing.T) {
	for name, text := range map[string]string{"not JSON": "{", "other version": `{"version":9}`, "other shape": `{"version":1,"lanes":[]}`} {
		t.Run(name, func(t *testing.T) {
			store := File{filepath.Join(t.TempDir(), "notify.json")}
			if err := store.Save([]byte(text)); err != nil {
				t.Fatal(err)
			}
			o := open(t, store, channel("chat", &endpoint{}))
			o.close(t)
			if bad, err := (File{store.Path + ".bad"}).Load(); err != nil || string(bad) != text {
				t.Errorf("set aside: %q, %v", bad, err)
			}
		})
	}
}

// fullDisk is a Store that fails, or hangs, when told to.
type fullDisk struct {
	mu   sync.Mutex
	save func() error
}

func (*fullDisk) Load() ([]byte, error) { return nil, nil }

func (d *fullDisk) Save([]byte) error {
	d.mu.Lock()
	save := d.save
	d.mu.Unlock()
	return save()
}

// TestFullDisk: alarms go out all the same, and the disk is a trouble.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{save: func() error { return errors.New("no space left on device") }}
		e := &endpoint{}
		o := open(t, disk, channel("chat", e))
		o.Take(firing("leak", alarm.Warn))
		time.Sleep(time.Second)
		want(t, "messages", e.got(), "leak firing warn", "notify-queue firing warn")
		disk.mu.Lock()
		disk.save = func() error { return nil }
		disk.mu.Unlock()
		o.Take(resolved("leak"))
		time.Sleep(time.Second)
		want(t, "then", e.got()[2:], "leak resolved warn", "notify-queue resolved warn")
		o.close(t)
	})
}

func TestHangingDiskHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		disk := &fullDisk{save: func() error { <-release; return nil }}
		e := &endpoint{}
		o := open(t, disk, channel("chat", e))
		began := time.Now()
		o.Take(firing("leak", alarm.Warn))
		synctest.Wait()
		o.Take(resolved("leak"))
		synctest.Wait()
		want(t, "messages", e.got(), "leak firing warn", "leak resolved warn")
		if time.Since(began) != 0 {
			t.Error("the disk was waited for")
		}
		close(release)
		o.close(t)
	})
}
