"""The overlay driver: one network on many hosts, through VXLAN, kept together by etcd."""
