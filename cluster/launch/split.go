package launch

import "github.com/aws/aws-sdk-go-v2/service/ecs/types"

// Split says how many of n new tasks each item of a capacity provider strategy
// gets, in the strategy's order, where have are the tasks that each has
// already: the base is filled first, then each task goes to the item that is
// furthest below its weight. A lone item takes all, whatever its weight.
func Split(strategy []types.CapacityProviderStrategyItem, have []int, n int) []int {
	got := make([]int, len(strategy))
	for range n {
		at := -1
		var low float64
		for i, s := range strategy {
			total := got[i]
			if i < len(have) {
				total += have[i]
			}
			if total < int(s.Base) {
				at = i
				break
			}
			w := s.Weight
			if len(strategy) == 1 {
				w = 1
			}
			if w == 0 {
				continue
			}
			if fill := float64(total-int(s.Base)+1) / float64(w); at < 0 || fill < low {
				at, low = i, fill
			}
		}
		if at < 0 {
			return got
		}
		got[at]++
	}
	return got
}
