// An auditor built on golang.org/x/mod/sumdb, the code behind Go's checksum database: note signatures, authenticated tiles,
// consistency and inclusion are all decided by that code and never by ours.
//
// One JSON request a line on stdin, one JSON answer a line on stdout:
//
//	{"dir": "...", "vkey": "...", "older": "path of an older checkpoint or empty", "receipts": ["path", ...]}
//	{"ok": true, "size": 600} or {"ok": false, "size": 0, "error": "..."}
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type request struct {
	Dir, Vkey, Older string
	Receipts         []string
}

type answer struct {
	OK    bool   `json:"ok"`
	Size  int64  `json:"size"`
	Error string `json:"error,omitempty"`
}

// files reads C2SP tiles: tile/8/L/N of the library is tile/L/N in the directory.
type files struct{ dir string }

func (files) Height() int { return height }

func (files) SaveTiles([]tlog.Tile, [][]byte) {}

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		raw, err := os.ReadFile(filepath.Join(f.dir, path))
		if err != nil {
			return nil, err
		}
		if len(raw) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path, len(raw))
		}
		data[i] = raw
	}
	return data, nil
}

// open verifies a checkpoint's note and reads its tree head.
func open(raw []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, err
}

// bundle reads the entries of one bundle.
func bundle(dir string, n, size int64) ([][]byte, error) {
	width := int64(1 << height)
	if rest := size - n<<height; rest < width {
		width = rest
	}
	tile := tlog.Tile{H: height, L: -1, N: n, W: int(width)}
	path := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/data/")
	raw, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for int64(len(entries)) < width {
		if len(raw) < 2 || len(raw)-2 < int(binary.BigEndian.Uint16(raw)) {
			return nil, fmt.Errorf("%s is too short", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(raw))
		entries, raw = append(entries, raw[2:end]), raw[end:]
	}
	if len(raw) > 0 {
		return nil, fmt.Errorf("%s is too long", path)
	}
	return entries, nil
}

// audit checks every entry against authenticated leaf hashes, every tile by reading it, and continuity.
func audit(asked request, verifier note.Verifier) (int64, error) {
	raw, err := os.ReadFile(filepath.Join(asked.Dir, "checkpoint"))
	if err != nil {
		return 0, err
	}
	tree, err := open(raw, verifier)
	if err != nil {
		return 0, err
	}
	if tree.N == 0 {
		return 0, nil
	}
	hashes := tlog.TileHashReader(tree, files{asked.Dir})
	for n := int64(0); n<<height < tree.N; n++ {
		entries, err := bundle(asked.Dir, n, tree.N)
		if err != nil {
			return 0, err
		}
		var indexes []int64
		for i := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, n<<height+int64(i)))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return 0, err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != leaves[i] {
				return 0, fmt.Errorf("entry %d is not the one that was signed", n<<height+int64(i))
			}
		}
	}
	if asked.Older != "" {
		if err := continues(asked.Older, verifier, tree, hashes); err != nil {
			return 0, err
		}
	}
	for _, path := range asked.Receipts {
		if err := receipt(path, verifier); err != nil {
			return 0, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return tree.N, nil
}

// continues proves from the tiles that an older head is a prefix, and has the library check the proof.
func continues(path string, verifier note.Verifier, tree tlog.Tree, hashes tlog.HashReader) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	older, err := open(raw, verifier)
	if err != nil || older.N == 0 {
		return err
	}
	if older.N > tree.N {
		return fmt.Errorf("went back from %d to %d", older.N, tree.N)
	}
	proof, err := tlog.ProveTree(tree.N, older.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash)
}

// receipt checks a .tlog-proof file whose extra line shows its entry.
func receipt(path string, verifier note.Verifier) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, checkpoint, found := bytes.Cut(raw, []byte("\n\n"))
	if !found {
		return fmt.Errorf("no checkpoint")
	}
	tree, err := open(checkpoint, verifier)
	if err != nil {
		return err
	}
	lines := strings.Split(string(head), "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		return fmt.Errorf("not a tlog-proof with its entry")
	}
	shown, err := base64.StdEncoding.DecodeString(lines[1][6:])
	if err != nil {
		return err
	}
	var extra struct{ Entry []byte }
	if err := json.Unmarshal(shown, &extra); err != nil {
		return err
	}
	index, err := strconv.ParseInt(lines[2][6:], 10, 64)
	if err != nil || strconv.FormatInt(index, 10) != lines[2][6:] {
		return fmt.Errorf("no index")
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(extra.Entry))
}

func main() {
	requests, answers := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	requests.Buffer(nil, 1<<24)
	for requests.Scan() {
		var asked request
		if err := json.Unmarshal(requests.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		verifier, err := note.NewVerifier(asked.Vkey)
		size := int64(0)
		if err == nil {
			size, err = audit(asked, verifier)
		}
		told := answer{OK: err == nil, Size: size}
		if err != nil {
			told.Error = err.Error()
		}
		if err := answers.Encode(told); err != nil {
			os.Exit(2)
		}
	}
}
