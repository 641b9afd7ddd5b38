package calendar

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

//go:embed zoneinfo.zip
var database []byte

// maxZone bounds the data of one zone, in bytes; the largest has less than 4 kB.
const maxZone = 64 << 10

// zones finds the file of each zone.
var zones = sync.OnceValue(func() map[string]*zip.File {
	files := map[string]*zip.File{}
	archive, err := zip.NewReader(bytes.NewReader(database), int64(len(database)))
	if err != nil {
		panic("calendar: the time zone database within the program: " + err.Error()) // part of the executable, which tests read whole
	}
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, "/") {
			files[f.Name] = f
		}
	}
	return files
})

// loaded keeps zones that were asked for; there are no more than the database has.
var loaded sync.Map // string -> *time.Location

// Location returns the zone of that name, for example "Asia/Hong_Kong". Names are those of the database, as it writes them; "Local" and the empty name are
// none of them.
func Location(zone string) (*time.Location, error) {
	if l, ok := loaded.Load(zone); ok {
		return l.(*time.Location), nil
	}
	f, ok := zones()[zone]
	if !ok {
		return nil, fmt.Errorf("zone: expected a name of the IANA time zone database, found %.64q", zone)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", zone, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxZone))
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", zone, err)
	}
	l, err := time.LoadLocationFromTZData(zone, data)
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", zone, err)
	}
	loaded.Store(zone, l)
	return l, nil
}

// Valid refuses names that are not in the database.
func Valid(zone string) error {
	_, err := Location(zone)
	return err
}
