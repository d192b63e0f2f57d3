/** A file lock that excludes other processes and other fibers of this process. */
import { Clock, Effect, FileSystem, Option, Path } from "effect"
import { FileFailed } from "../errors.ts"

/** Interval at which the holder touches the lock, age at which an untouched lock is stale, and polling interval of others, in ms. */
const touched = 2_000
const lasting = 30_000
const patience = 200

/**
 * Runs the effect while holding `<target>.lock`. Others wait until the lock is released or stale: its holder touches it
 * regularly, so a stale lock means that the holder was killed. The effect must first check whether another holder has already
 * done the work.
 */
export const exclusively =
  (target: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | FileFailed, R | FileSystem.FileSystem | Path.Path> =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const lock = `${target}.lock`
      const at = FileFailed.at(lock)
      yield* Effect.mapError(fs.makeDirectory(path.dirname(lock), { recursive: true }), at)

      const take = fs.writeFile(lock, new Uint8Array(), { flag: "wx" }).pipe(
        Effect.as(true),
        Effect.catchIf(
          (error) => error.reason._tag === "AlreadyExists",
          () => Effect.succeed(false),
        ),
        Effect.mapError(at),
      )
      const lastTouch = fs.stat(lock).pipe(
        Effect.map(({ mtime }) => Option.getOrElse(mtime, () => new Date(0)).getTime()),
        // The lock has been released meanwhile: the next attempt will see that.
        Effect.orElseSucceed(() => Number.POSITIVE_INFINITY),
      )
      const acquire = Effect.gen(function* () {
        for (let waited = false; !(yield* take); waited = true) {
          if ((yield* Clock.currentTimeMillis) - (yield* lastTouch) > lasting) {
            yield* Effect.mapError(fs.remove(lock, { force: true }), at)
            continue
          }
          if (!waited) yield* Effect.logInfo(`waiting for another process, which holds ${lock}`)
          yield* Effect.sleep(patience)
        }
      })
      const touch = Effect.gen(function* () {
        for (;;) {
          yield* Effect.sleep(touched)
          const now = new Date(yield* Clock.currentTimeMillis)
          yield* Effect.ignore(fs.utimes(lock, now, now))
        }
      })
      const release = Effect.ignore(fs.remove(lock, { force: true }))
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(acquire), () => Effect.ensuring(restore(Effect.raceFirst(effect, touch)), release)),
      )
    })
