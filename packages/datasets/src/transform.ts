/** Transforms: functions of a sample and a random key, put together by `compose`. */
import { OptionError } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"

/** Changes a sample; the same key gives the same change. Never writes to the sample it was given. */
export type Transform<A> = (sample: A, key: Key.Key) => A

/**
 * One transform after the other, each with a key of its own. torchvision and tonic call it `Compose`.
 *
 * @throws OptionError for what is not a function
 * @example
 * const augment = compose(randomCrop(4), cutout(), randomHorizontalFlip())
 */
export const compose = <A>(...transforms: ReadonlyArray<Transform<A>>): Transform<A> => {
  const wrong = transforms.findIndex((each) => typeof each !== "function")
  if (wrong >= 0)
    throw new OptionError({
      owner: "compose",
      option: `transforms.${wrong}`,
      value: transforms[wrong],
      expected: "a function",
    })
  return (sample, key) => transforms.reduce((changed, transform, i) => transform(changed, Key.fold(key, i)), sample)
}
