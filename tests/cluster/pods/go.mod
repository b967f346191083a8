// What runs in the Pods of the local cluster and its tests. It requires nothing.
module network.huly.io/tests/cluster/pods

go 1.26.0
