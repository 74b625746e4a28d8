package store

import "context"

// Clear deletes the rows whose keys begin with prefix, in as many transactions as
// that takes, and returns when none is left.
func (t *Table[T]) Clear(ctx context.Context, db *DB, prefix string) error {
	return t.Prune(ctx, db, prefix, func(Reader, T) bool { return true })
}

// Prune is Clear of the rows that which picks; what it reads of r is as of the
// transaction that deletes the row.
func (t *Table[T]) Prune(ctx context.Context, db *DB, prefix string, which func(r Reader, v T) bool) error {
	for n := maxRows; n == maxRows; {
		err := db.Update(ctx, func(tx *Tx) error {
			n = 0
			for v := range t.List(tx, prefix) {
				if n == maxRows {
					break
				}
				if which(tx, v) {
					t.Delete(tx, t.key(v))
					n++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
