{{- /* A word, or a list of words with commas between them. */ -}}
{{- define "zerohop.words" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- /* The cache's first address, where the probes ask. */ -}}
{{- define "zerohop.firstAddress" -}}
{{- splitList "," (include "zerohop.words" .Values.localAddress) | first -}}
{{- end -}}

{{- define "zerohop.podLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: zerohop
app.kubernetes.io/part-of: zerohop
{{- end -}}

{{- /* Of every object but for its component and k8s-app. */ -}}
{{- define "zerohop.labels" -}}
{{ include "zerohop.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "zerohop.image" -}}
{{- with .Values.image }}
{{- if hasPrefix "REGISTRY/" .repository }}
{{- fail (printf "image.repository is %s, a placeholder: no registry hosts this image. Build it (docker build .), push it to a registry that the nodes reach, and name it: --set image.repository=registry.example.com/zerohop" .repository) }}
{{- end -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end -}}

{{- define "zerohop.serviceAccount" -}}
{{- with .Values.serviceAccount }}{{ .name | default (ternary "node-local-dns" "default" .create) }}{{ end -}}
{{- end -}}

{{- define "zerohop.mode" -}}
{{- if .Values.mode }}{{ .Values.mode }}
{{- else }}
{{- $found := include "zerohop.modeFound" (dict
      "cilium" (lookup "v1" "ConfigMap" "kube-system" "cilium-config")
      "kubeProxy" (lookup "v1" "ConfigMap" "kube-system" "kube-proxy")
      "kubeProxyOfEks" (lookup "v1" "ConfigMap" "kube-system" "kube-proxy-config")) }}
{{- if not $found }}
{{- fail "mode is empty, and helm finds the mode of kube-proxy in no ConfigMap of this cluster. Set it: --set mode=iptables, ipvs or nftables, as kube-proxy has it (curl -s localhost:10249/proxyMode on a node), or --set mode=cilium where Cilium replaces kube-proxy and has localRedirectPolicy enabled" }}
{{- end -}}
{{ $found }}
{{- end }}
{{- end -}}

{{- /*
The mode as these ConfigMaps have it, nothing if none has. Where Cilium replaces kube-proxy, a ConfigMap of kube-proxy
may be left over. kube-proxy's default is iptables.
*/ -}}
{{- define "zerohop.modeFound" -}}
{{- $cilium := dig "data" dict .cilium }}
{{- if has (get $cilium "kube-proxy-replacement") (list "true" "strict") }}
{{- if eq (get $cilium "enable-local-redirect-policy") "true" }}cilium{{ end }}
{{- else }}
{{- $config := dig "data" "config.conf" "" .kubeProxy | default (dig "data" "config" "" .kubeProxyOfEks) }}
{{- if $config }}
{{- $mode := get (fromYaml $config) "mode" | default "iptables" }}
{{- if has $mode (list "iptables" "ipvs" "nftables") }}{{ $mode }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The addresses of the cluster DNS with commas between them; in a pod, Kubernetes replaces $(…) by the address. */ -}}
{{- define "zerohop.clusterDnsAddress" -}}
{{- if .Values.clusterDnsAddress }}{{ include "zerohop.words" .Values.clusterDnsAddress }}
{{- else }}
{{- include "zerohop.clusterDnsFound" (dict
      "name" .Values.clusterDnsService
      "namespace" .Release.Namespace
      "service" (lookup "v1" "Service" .Release.Namespace .Values.clusterDnsService)
      "everyNamespaceHas" (lookup "v1" "ConfigMap" .Release.Namespace "kube-root-ca.crt")) }}
{{- end }}
{{- end -}}

{{- define "zerohop.clusterDnsFound" -}}
{{- $addresses := dig "spec" "clusterIPs" (list) .service }}
{{- if and $addresses (not (has "None" $addresses)) }}{{ join "," $addresses }}
{{- else if .everyNamespaceHas }}
{{- fail (printf "namespace %s has no Service %s with an address. Name the Service of the cluster DNS with --set clusterDnsService=NAME (on RKE2 rke2-coredns-rke2-coredns), or its address with --set clusterDnsAddress=ADDRESS" .namespace .name) }}
{{- else }}$({{ .name | upper | replace "-" "_" }}_SERVICE_HOST)
{{- end }}
{{- end -}}

{{- /* The value of -localip. */ -}}
{{- define "zerohop.localip" -}}
{{- $mode := include "zerohop.mode" . }}
{{- if eq $mode "cilium" }}0.0.0.0
{{- else }}{{ include "zerohop.words" .Values.localAddress }}{{ if eq $mode "iptables" }},{{ include "zerohop.clusterDnsAddress" . }}{{ end }}
{{- end }}
{{- end -}}

{{- /* Fails where the chart cannot work, before anything is changed. */ -}}
{{- define "zerohop.refuse" -}}
{{- $mode := include "zerohop.mode" . }}
{{- $namespace := .Release.Namespace }}
{{- if ne $namespace "kube-system" }}
{{- if eq $mode "cilium" }}
{{- fail (printf "the namespace is %s. In mode cilium it must be that of the cluster DNS, since Cilium redirects only to pods of the Service's own namespace: --namespace kube-system" $namespace) }}
{{- else if not .Values.upstream }}
{{- fail (printf "the namespace is %s. The Service kube-dns-upstream finds the pods of the cluster DNS in its own namespace only: --namespace kube-system, or --set upstream=ADDRESS of the cluster DNS" $namespace) }}
{{- else if and (eq $mode "iptables") (not .Values.clusterDnsAddress) }}
{{- fail (printf "the namespace is %s. Pods find the Service %s in their environment in its own namespace only: --namespace kube-system, or --set clusterDnsAddress=ADDRESS of that Service" $namespace .Values.clusterDnsService) }}
{{- end }}
{{- end }}
{{- range $directive, $port := dict "health" .Values.healthPort "ready" .Values.readyPort }}
{{- if and $.Values.corefile (not (regexMatch (printf `(?m)^\s*(%s|import)\b` $directive) $.Values.corefile)) }}
{{- fail (printf "corefile has no %s, which kubelet asks on port %d: no pod would become ready. Add to its server blocks: %s __PILLAR__LOCAL__DNS__:%d" $directive (int $port) $directive (int $port)) }}
{{- end }}
{{- end }}
{{- if and .Values.highAvailability (eq $mode "cilium") }}
{{- fail "highAvailability is true in mode cilium: two pods of a node share their ports on the host's network only. Set highAvailability=false" }}
{{- end }}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
{{- fail "podMonitor.enabled and serviceMonitor.enabled are both true: every pod would be scraped twice. Enable one of them" }}
{{- end }}
{{- end -}}

{{- /* What a Service says of its families. */ -}}
{{- define "zerohop.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
