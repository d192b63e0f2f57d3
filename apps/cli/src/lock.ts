/** A lock that lets only one process train in a run directory. */
import { Effect, type FileSystem, Path, type Scope } from "effect"
import { UsageError } from "./errors.ts"
import { isTaken, sizeOf } from "./files.ts"

/** The file that a process locks while it trains in the directory. */
export const lockName = ".lock"

const sqliteBusy = 5

/**
 * Locks a directory until the scope ends. The lock is the operating system's file lock, taken through SQLite: the system releases it when
 * the process ends for any reason, so it never becomes stale. (Data set downloads use a different lock, a file that its holder touches:
 * other processes wait instead of failing, and that package supports Node 20, which has no SQLite.)
 */
export const lock = (
  directory: string,
): Effect.Effect<void, UsageError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const file = (yield* Path.Path).join(directory, lockName)
    if (yield* isTaken(file)) yield* sizeOf(file)
    const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
    const open = Effect.try({
      try: () => {
        const database = new DatabaseSync(file)
        try {
          // Nothing is ever written, so no journal file is needed.
          database.exec("PRAGMA journal_mode = MEMORY")
          database.exec("BEGIN EXCLUSIVE")
          return database
        } catch (error) {
          database.close()
          throw error
        }
      },
      catch: (error) => {
        const { errcode, message } = error as { readonly errcode?: number; readonly message: string }
        return new UsageError({
          reason:
            errcode === sqliteBusy
              ? `${directory}: another process trains in it; wait for its end, or give another directory`
              : `${file} cannot be locked: ${message}`,
        })
      },
    })
    yield* Effect.acquireRelease(open, (database) => Effect.sync(() => database.close()))
  })
