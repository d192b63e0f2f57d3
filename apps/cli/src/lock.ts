/** A run directory is trained in by one process at a time. */
import { Effect, type FileSystem, Path, type Scope } from "effect"
import { UsageError } from "./errors.ts"
import { isTaken, sizeOf } from "./files.ts"

/** The file whose lock a process holds while it trains in the directory. */
export const lockName = ".lock"

const sqliteBusy = 5

/**
 * Takes the lock of a directory until the scope ends. It is the system's lock of a file, by way of SQLite: it ends with the process,
 * whatever ends that, so that none is ever left behind. (Downloads of data sets have a lock of another kind, a file that its holder touches:
 * others wait for it rather than fail, and that package runs under Node 20, which has no SQLite.)
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
          // Nothing is ever written, so no file of a journal is needed.
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
