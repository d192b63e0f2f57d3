/** Transforms: functions of a sample and a random key, which `compose` chains. */
import { OptionError } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"

/** Returns a transformed sample, determined by the sample and the key. It does not modify its input. */
export type Transform<A> = (sample: A, key: Key.Key) => A

/**
 * Applies transforms in order, each with its own key: `Compose` in torchvision and tonic.
 *
 * @throws OptionError if an argument is not a function
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
